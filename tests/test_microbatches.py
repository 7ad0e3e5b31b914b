"""How a step is cut into microbatches: every row once, each in a shape it fits, at the least cost that these shapes allow."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptune_cli.data.microbatches import COSTS, MOST, Cost, Shape, choose, cut, padded_length, rows_of

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=6).map(sorted)
SHAPES = (Shape(3, 8), Shape(2, 20), Shape(1, 40))
COST = Cost(positions=60, fixed=5, attention=50)


def cheapest(lengths: list[int]) -> float:
    """By trying every way to cut rows, in the order of their length, into SHAPES."""
    if not lengths:
        return 0.0
    return min(
        COST.of(shape) + cheapest(lengths[: -min(shape.rows, len(lengths))]) for shape in SHAPES if shape.length >= lengths[-1]
    )


@settings(deadline=None, derandomize=True)
@given(lengths=LENGTHS)
def test_a_step_is_cut_as_cheaply_as_its_shapes_allow(lengths):
    parts = cut(lengths, SHAPES, COST)
    assert list(itertools.chain(*(range(part.start, part.stop) for part in parts))) == list(range(len(lengths)))
    for part in parts:
        assert part.shape.length >= max(lengths[part.start : part.stop]) and part.stop - part.start <= part.shape.rows
    assert sum(COST.of(part.shape) for part in parts) == pytest.approx(cheapest(lengths))


def drawn(mean: int, rows: int = 32, longest: int = 512, prompt: int = 100) -> np.ndarray:
    """The lengths of 16 steps of log-normal inputs, as SuperGLUE's are."""
    lengths = np.random.default_rng(mean).lognormal(np.log(mean) - 0.125, 0.5, (16, rows))
    return np.clip(lengths, 4, longest).astype(int) + prompt


@pytest.mark.parametrize("mean", [30, 90, 150, 330])
@pytest.mark.parametrize("rows", [16, 32, 160])
def test_a_handful_of_shapes_leaves_little_padding(mean, rows):
    """Padding to the batch's longest row leaves 70% more positions than there are of BoolQ's, and all at once."""
    cost = COSTS["cpu"]
    steps = drawn(mean, rows)
    shapes = choose(steps, 612, cost)
    assert 1 <= len(shapes) <= MOST and max(shape.length for shape in shapes) == 612
    assert all(shape.rows * shape.length <= cost.positions for shape in shapes)
    computed = sum(part.shape.rows * part.shape.length for step in steps for part in cut(sorted(step), shapes, cost))
    assert computed <= 1.20 * steps.sum()


def test_more_shapes_than_the_one_that_fits_all_cost_less():
    steps, cost = drawn(150), COSTS["cpu"]

    def total(shapes: Sequence[Shape]) -> float:
        return sum(cost.of(part.shape) for step in steps for part in cut(sorted(step), shapes, cost))

    shapes = choose(steps, 612, cost)
    alone = [shape for shape in shapes if shape.length == 612 and shape.rows == 2]
    assert total(shapes) < 0.7 * total(alone)


def test_rows_of_one_length_have_shapes_of_that_length_alone():
    assert {shape.length for shape in choose(np.full((16, 32), 200), 200, COSTS["cpu"])} == {200}


def test_an_accelerator_computes_a_step_at_once():
    [part] = cut(sorted(drawn(90)[0]), choose(drawn(90), 612, COSTS["gpu"]), COSTS["gpu"])
    assert part.stop - part.start == 32


def test_less_than_a_quarter_of_a_row_is_padding():
    for length in range(9, 4097):
        assert length <= padded_length(length) < 1.25 * length + 4
    assert [padded_length(n) for n in (1, 8, 9, 33, 64, 65, 612)] == [8, 8, 12, 40, 64, 80, 640]


def test_a_row_longer_than_what_is_computed_at_once_is_computed_alone():
    assert rows_of(2_000, Cost(1_500, 0, 4_000)) == 1 and rows_of(100, Cost(1_500, 0, 4_000)) == 15
    assert choose(np.full((2, 3), 2_000), 2_000, Cost(1_500, 0, 4_000)) == (Shape(1, 2_000),)


def test_lengths_are_multiples_of_what_the_device_likes():
    steps = drawn(90)
    shapes = choose(steps, 612, Cost(4_000, 50, 2_200, multiple=64))
    assert len(shapes) > 1 and all(shape.length % 64 == 0 for shape in shapes)
    assert max(shape.length for shape in shapes) == 640
