"""How many bytes a device sends in the collectives of a compiled program, counted from its HLO text."""

import math
import re

# What a device sends of a result of n bytes, k devices in a ring: 2n(k-1)/k of what is summed, n(k-1)/k of what is gathered.
ROUNDS = {"all-reduce": 2, "all-gather": 1}
_COLLECTIVE = re.compile(r" = (\(.*?\)|\S+) ((?:all-|reduce-scatter|collective-|ragged-)[\w-]*)\(.*?replica_groups=(.*?), \w+=")
_ARRAY = re.compile(r"\b([a-z]+?)(\d+)\[([\d,]*)\]")


def sent_in_ring(kind: str, size: float, devices: int) -> float:
    """Bytes that each of these devices sends of a collective whose result has `size` bytes on a device.

    KeyError for a kind of collective that no step of prompt tuning has had so far.
    """
    return ROUNDS[kind] * size * (devices - 1) / devices


def sent(program: str) -> float:
    """Bytes that a device sends in all collectives of a program, from its HLO text, in which no loop may have one."""
    return sum(sent_in_ring(kind, _bytes(result), _devices(groups)) for result, kind, groups in _COLLECTIVE.findall(program))


def _bytes(shapes: str) -> int:
    """Of "f32[8,52,32]{2,1,0}", or of a tuple of those."""
    return sum(int(bits) // 8 * math.prod(map(int, filter(None, sizes.split(",")))) for _, bits, sizes in _ARRAY.findall(shapes))


def _devices(groups: str) -> int:
    """How many devices take part: of "[2,4]<=[8]", "{{0,1},{2,3}}", or "mesh['axis_0'=2,'axis_1'=4] {'axis_1'}"."""
    if groups.startswith("mesh"):
        axes = dict(re.findall(r"'(\w+)'=(\d+)", groups))
        return math.prod(int(axes[name]) for name in re.findall(r"'(\w+)'", groups.rpartition("{")[2]))
    if groups.startswith("["):
        return int(re.findall(r"\d+", groups.partition("]")[0])[-1])
    return len(groups.partition("}")[0].split(","))
