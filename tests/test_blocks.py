"""Large arrays in parts: every number is in one of them, and none is larger than it should be."""

import numpy as np
import pytest

from ptune_cli.formats import blocks


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 64)


def counted(shape, parts) -> np.ndarray:
    """How many parts each number is in."""
    counts = np.zeros(shape, int)
    for part in parts:
        counts[part] += 1
    return counts


@pytest.mark.parametrize("shape", [(), (1,), (100,), (7, 5), (3, 100), (2, 3, 4), (0, 4), (4, 0)])
def test_blocks_make_up_an_array_and_are_a_row_or_no_larger_than_a_block(shape):
    parts = list(blocks.blocks(shape, 4))
    assert (counted(shape, parts) == 1).all()
    row = int(np.prod(shape[1:])) * 4
    assert all(np.empty(shape, np.float32)[part].nbytes <= max(64, row) for part in parts)


@pytest.mark.parametrize(
    "shape, chunk", [((100,), (1,)), ((7, 5), (2, 5)), ((9, 40), (9, 40)), ((30, 30), (1, 1)), ((3, 4), (8, 8))]
)
def test_regions_make_up_an_array_and_are_of_whole_chunks(shape, chunk):
    parts = list(blocks.regions(shape, chunk, 4))
    assert (counted(shape, parts) == 1).all()
    assert all(cut.start % size == 0 for part in parts for cut, size in zip(part, chunk, strict=True))
    assert len(parts) <= max(1, 4 * np.prod(shape) * 4 / 64)  # few, however small the chunks
