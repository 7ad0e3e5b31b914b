"""A mixture of tasks: each has its share, whatever is asked first, and one task alone is what it is without a mixture."""

from collections import Counter

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from ptune_cli.data.batches import Batches
from ptune_cli.data.examples import Lengths, Source, order
from ptune_cli.data.microbatches import Cost
from ptune_cli.data.mixture import Mixture, alike
from ptune_cli.prompts.bank import unchanged
from tasks import mixtures

LENGTHS = Lengths(16, 4)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=4)
LIMITS = st.none() | st.integers(1, 6)


class Sized:
    """A task of which only the number of rows matters."""

    def __init__(self, rows: int):
        self._rows = rows

    def __len__(self) -> int:
        return self._rows


def mixture(sizes, limit=None, seed=0, rows=Sized) -> Mixture:
    return Mixture([Source(rows(size), seed, unchanged) for size in sizes], limit)


def by_task(indices, sizes) -> list[list[int]]:
    """Of the drawn indices, each task's own, in their order."""
    first = np.cumsum([0, *sizes])
    return [[int(i - first[k]) for i in indices if first[k] <= i < first[k + 1]] for k in range(len(sizes))]


@settings(deadline=None, derandomize=True)
@given(sizes=SIZES, limit=LIMITS, seed=st.integers(0, 3), rounds=st.integers(1, 4))
def test_every_round_has_of_each_task_as_many_rows_as_it_counts(sizes, limit, seed, rounds):
    mixed = mixture(sizes, limit, seed)
    drawn = by_task(mixed.order(0, rounds * sum(mixed.counted)), sizes)
    assert list(mixed.counted) == [min(size, limit or size) for size in sizes]
    assert [len(own) for own in drawn] == [rounds * count for count in mixed.counted]


@pytest.mark.parametrize(
    ("limit", "percent"), [(None, (97.56, 1.95, 0.49)), (200, (44.44, 44.44, 11.11)), (1, (33.33, 33.33, 33.33))]
)
def test_rates_are_held_over_many_draws(limit, percent):
    """In proportion to the rows, to as many as a task counts at most, or to none; off by less than a round."""
    sizes, draws = (10_000, 200, 50), 100_000
    mixed = mixture(sizes, limit)
    drawn = np.array([len(own) for own in by_task(mixed.order(0, draws), sizes)])
    np.testing.assert_allclose(mixed.rates, percent, atol=0.005)
    assert np.abs(drawn - np.array(mixed.rates) * draws / 100).max() < sum(mixed.counted)


@settings(deadline=None, derandomize=True)
@given(sizes=SIZES, limit=LIMITS, size=st.integers(1, 7), steps=st.integers(1, 6))
def test_a_step_has_the_same_rows_asked_for_alone_or_in_a_run(sizes, limit, size, steps):
    whole = mixture(sizes, limit).order(0, size * steps)
    for step in reversed(range(steps)):
        np.testing.assert_array_equal(mixture(sizes, limit).order(step * size, size), whole[step * size : (step + 1) * size])


@settings(deadline=None, derandomize=True)
@given(sizes=SIZES, limit=LIMITS, seed=st.integers(0, 3))
def test_each_task_goes_through_its_own_epochs(sizes, limit, seed):
    """Also where a limit cuts a round before the task's rows are all seen: the next round goes on with them."""
    mixed = mixture(sizes, limit, seed)
    for own, size in zip(by_task(mixed.order(0, 12 * sum(mixed.counted)), sizes), sizes, strict=True):
        assert own == order(seed, size, 0, len(own)).tolist()
        assert set(Counter(own[: len(own) // size * size]).values()) <= {len(own) // size}


@pytest.mark.parametrize("limit", [None, 1, 7])
@pytest.mark.parametrize("cost", [tiny.WHOLE, Cost(30, 0, 4000)])
def test_one_task_alone_has_the_batches_it_has_without_a_mixture(limit, cost):
    source = Source(tiny.Rows(10), 3, unchanged)
    alone, mixed = (Batches([one], 4, LENGTHS, cost) for one in (source, Mixture([source], limit)))
    for step in range(12):
        for part, again in zip(alone(step), mixed(step), strict=True):
            for a, b in zip(part, again, strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_row_is_laid_out_as_its_own_task_says():
    """A prefix LM's target has no EOS behind it; a classification's has."""
    tasks = [Source(tiny.Rows(5), 0, unchanged), Source(tiny.Rows(4, seed=1), 0, lambda ids: ids[::-1], targets_end=False)]
    mixed = Mixture(tasks)
    for i in range(9):
        own = tasks[i >= 5].example(i - 5 * (i >= 5), LENGTHS)
        for a, b in zip(mixed.example(i, LENGTHS), own, strict=True):
            np.testing.assert_array_equal(a, b)


def test_rounds_and_seeds_are_mixed_differently():
    sizes = (20, 20)
    drawn = {
        tuple(i >= 20 for i in mixture(sizes, seed=seed).order(40 * number, 40)) for seed in (0, 1, 2) for number in (0, 1, 2)
    }
    assert len(drawn) == 9


def test_the_rates_of_super_glue_are_those_of_the_reference():
    """The training rows are the rates of the seqio mixture that the reference registers."""
    rates = {task: rate for task, rate in mixtures.super_glue("").items() if rate}
    mixed = mixture([int(rate) for rate in rates.values()])
    np.testing.assert_allclose(mixed.rates, [100 * rate / sum(rates.values()) for rate in rates.values()])


class Beginning(tiny.Rows):
    """Rows that all begin with the same ids."""

    def __init__(self, *ids: int):
        super().__init__()
        self._ids = np.array(ids, np.int32)

    def inputs(self, i: int) -> np.ndarray:
        return np.concatenate([self._ids, super().inputs(i)])


def test_tasks_whose_inputs_begin_alike_are_told():
    tasks = {"boolq": Beginning(3, 4), "cb": Beginning(3, 5, 6), "rte": Beginning(3, 5, 6), "text": tiny.Rows()}
    assert list(alike({name: tasks[name] for name in ("boolq", "cb")})) == []
    assert list(alike(tasks)) == [("boolq", "text"), ("cb", "rte"), ("cb", "text"), ("rte", "text")]
