"""Large arrays in parts of bounded size."""

from collections.abc import Iterator
from itertools import product
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


def regions(shape: tuple[int, ...], chunk: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Indices of parts that make up an array, in order: each a chunk of this shape, or what is left of one at an edge."""
    cuts = [[slice(start, min(start + step, n)) for start in range(0, n, step)] for n, step in zip(shape, chunk, strict=True)]
    return product(*cuts)
