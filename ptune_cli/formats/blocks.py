"""Large arrays in parts of bounded size."""

from collections.abc import Iterator
from math import prod

BLOCK_BYTES = 2**22


def blocks(shape: tuple[int, ...], itemsize: int) -> Iterator[tuple[slice, ...]]:
    """Indices of parts that make up an array, in order: whole rows, as many as fit into BLOCK_BYTES (one at least)."""
    if not shape:
        yield ()
        return
    rows = max(BLOCK_BYTES // max(prod(shape[1:]) * itemsize, 1), 1)
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0])), *(slice(0, n) for n in shape[1:])
