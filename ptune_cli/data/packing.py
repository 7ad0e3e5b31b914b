"""Several examples in one row, each its own segment: fewer positions are padding, and all rows are about as long.

What packing changes is where an example is computed, not what: a position sees only its own segment, distances within a
segment are those of the example alone, and its dropout is its own (`t5.dropout`). An attention still computes all pairs of a
row's positions, so whether packing is faster is a matter of the device; `data.batches` asks its cost.
"""

from collections.abc import Sequence
from typing import NamedTuple

MOST_EXAMPLES = 16  # of a row: dropout draws masks for as many at each of its positions


class Room(NamedTuple):
    """What a row has room for. That of one example is a row as it is without packing."""

    positions: int  # of inputs, prompts included
    targets: int  # tokens
    examples: int


def pack(inputs: Sequence[int], targets: Sequence[int], room: Room) -> list[list[int]]:
    """Rows of examples, by their indices, shortest row first. First-fit decreasing, by the lengths of the inputs.

    An example has room in a row of its own, whatever its lengths.
    """
    rows: list[list[int]] = []
    left: list[Room] = []
    for i in sorted(range(len(inputs)), key=lambda i: (-inputs[i], i)):
        needed = Room(inputs[i], targets[i], 1)
        fits = (r for r, room in enumerate(left) if all(has >= needs for has, needs in zip(room, needed, strict=True)))
        r = next(fits, len(rows))
        if r == len(rows):
            rows.append([])
            left.append(room)
        rows[r].append(i)
        left[r] = Room(*(has - needs for has, needs in zip(left[r], needed, strict=True)))
    return sorted(rows, key=lambda row: sum(inputs[i] for i in row))


def room_for(steps: Sequence[tuple[Sequence[int], Sequence[int]]], positions: int, targets: int) -> Room:
    """Room in rows of so many positions for what is packed of these steps, (lengths of inputs, of targets) each.

    `targets` is the longest that one target may be: less than the sum of the longest of as many examples, which would be
    padding of the decoder where a few of many targets are long.
    """
    unbounded = Room(positions, 2**31, MOST_EXAMPLES)
    rows = [(row, lengths) for inputs, lengths in steps for row in pack(inputs, lengths, unbounded)]
    tokens = max(sum(lengths[i] for i in row) for row, lengths in rows)
    return Room(positions, max(tokens, targets), max(len(row) for row, _ in rows))
