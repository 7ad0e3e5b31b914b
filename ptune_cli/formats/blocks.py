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


def regions(shape: tuple[int, ...], chunk: tuple[int, ...], itemsize: int) -> Iterator[tuple[slice, ...]]:
    """Indices of parts that make up an array stored in chunks of this shape: a chunk each, or several small ones."""
    sizes = list(chunk)
    for axis in reversed(range(len(sizes))):
        while sizes[axis] < shape[axis] and 2 * prod(sizes) * itemsize <= BLOCK_BYTES:
            sizes[axis] *= 2
    cuts = [[slice(start, min(start + size, n)) for start in range(0, n, size)] for n, size in zip(shape, sizes, strict=True)]
    return product(*cuts)
