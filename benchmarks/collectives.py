"""How many bytes a device sends in the collectives of a compiled program, counted from its HLO text."""

import math
import re

# What a device sends of a result of n bytes, k devices in a ring: 2n(k-1)/k of what is summed, n(k-1)/k of what is gathered.
ROUNDS = {"all-reduce": 2, "all-gather": 1}
_COLLECTIVE = re.compile(r" = (\(.*?\)|\S+) ((?:all-|reduce-scatter|collective-|ragged-)[\w-]*)\((.*)")
_GROUPS = re.compile(
    r"replica_groups=(?:mesh\[(?P<sizes>.*?)\].*? \{(?P<axes>['\w,]+)\}|\[(?P<shape>[\d,]+)\]<=|\{\{(?P<first>[\d,]+)\})"
)
_ARRAY = re.compile(r"\b([a-z]+?)(\d+)\[([\d,]*)\]")


def sent_in_ring(kind: str, size: float, devices: int) -> float:
    """Bytes that each of these devices sends of a collective whose result has `size` bytes on a device.

    KeyError for a kind of collective that no step of prompt tuning has had so far.
    """
    return ROUNDS[kind] * size * (devices - 1) / devices


def sent(program: str) -> float:
    """Bytes that a device sends in all collectives of a program, from its HLO text, in which no loop may have one.

    KeyError for a kind of collective that is not known here, ValueError for a way of writing its groups that is not.
    """
    return sum(sent_in_ring(kind, _bytes(result), _devices(rest)) for result, kind, rest in _COLLECTIVE.findall(program))


def _bytes(shapes: str) -> int:
    """Of "f32[8,52,32]{2,1,0}", or of a tuple of those."""
    return sum(int(bits) // 8 * math.prod(map(int, filter(None, sizes.split(",")))) for _, bits, sizes in _ARRAY.findall(shapes))


def _devices(attributes: str) -> int:
    """How many take part: of "[2,4]<=[8]", "{{0,1},{2,3}}" or "mesh['a'=2,'b'=4], device_ids=([4,2]T(1,0)) {'b'}"."""
    found = _GROUPS.search(attributes)
    if found is None:
        raise ValueError(f"a collective's devices are not written in a way that is known: {attributes}")
    if found["first"] is not None:
        return len(found["first"].split(","))
    if found["shape"] is not None:
        return int(found["shape"].split(",")[-1])
    sizes = dict(re.findall(r"'(\w+)'=(\d+)", found["sizes"]))
    return math.prod(int(sizes[name]) for name in re.findall(r"'(\w+)'", found["axes"]))
