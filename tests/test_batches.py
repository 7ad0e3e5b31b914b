"""Training batches: which rows at which step, laid out and padded how, and what the limits of length say."""

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from ptune_cli.data.batches import Batches
from ptune_cli.data.examples import Lengths, Source, order
from ptune_cli.data.limits import limits
from ptune_cli.data.microbatches import Cost
from ptune_cli.errors import UserError
from ptune_cli.prompts.bank import PLACEMENTS, Member, Prompt, layout, slots

EOS = 1
LONGEST = 16 + 3  # inputs and prompt


def batches(count: int = 10, size: int = 4, seeds=(0,), cost: Cost = tiny.WHOLE, examples=None) -> Batches:
    own = tiny.bank(seeds=seeds)
    sources = [Source(examples or tiny.Rows(count), m.seed, layout(m, rows)) for m, rows in zip(own, slots(own), strict=True)]
    return Batches(sources, size, Lengths(16, 4, prompt=3), cost, packing=False)


@settings(deadline=None, derandomize=True)
@given(seed=st.integers(0, 5), examples=st.integers(1, 9), size=st.integers(1, 7), epochs=st.integers(1, 3))
def test_each_epoch_sees_every_example_once_whatever_the_batch_size(seed, examples, size, epochs):
    steps = -(-examples * epochs // size)
    seen = np.concatenate([order(seed, examples, step * size, size) for step in range(steps)])
    for epoch in range(epochs):
        assert sorted(seen[epoch * examples : (epoch + 1) * examples]) == list(range(examples))


def test_the_order_is_a_function_of_seed_and_step_alone():
    """A step asked for first, on its own, or again gives what it gives in a run."""
    run = [batches()(step) for step in range(6)]
    for step in (5, 0, 3):
        np.testing.assert_array_equal(np.concatenate(batches().indices(step)), order(0, 10, 4 * step, 4))
        for part, again in zip(run[step], batches()(step), strict=True):
            for a, b in zip(part, again, strict=True):
                np.testing.assert_array_equal(a, b)


def test_epochs_and_seeds_are_shuffled_differently():
    epochs = {tuple(order(seed, 40, 40 * epoch, 40)) for seed in (0, 1, 2) for epoch in (0, 1, 2)}
    assert len(epochs) == 9 and tuple(range(40)) not in epochs


def test_a_member_sees_the_same_rows_in_a_bank_as_alone():
    together, alone = batches(seeds=(0, 5)), batches(seeds=(5,))
    np.testing.assert_array_equal(together.indices(7)[1], alone.indices(7)[0])
    (bank,), (single,) = together(7), alone(7)
    np.testing.assert_array_equal(bank.dropout[bank.member[:, 0] == 1], single.dropout)


def contents(parts) -> list:
    """The rows of a step, without their padding, in one order."""
    rows = [row for part in parts for row in zip(*part, strict=True) if row[1].any()]  # what fills a shape up is no row
    return sorted([[x[x != 0].tolist() for x in row[:4]] + [row[4].tolist(), row[5].tolist()] for row in rows])


@pytest.mark.parametrize("positions", [1, 25, 50, 100])
def test_microbatches_hold_the_same_rows_sorted_by_length_in_few_shapes(positions):
    cut = batches(seeds=(0, 1), cost=Cost(positions, fixed=1, attention=100))
    for step in range(20):
        parts = cut(step)
        assert len(parts) > 1 and contents(parts) == contents(batches(seeds=(0, 1))(step))
        lengths = np.concatenate([part.encoder_segments.sum(axis=1) for part in parts])
        assert (np.diff(lengths[lengths > 0]) >= 0).all()
        for part in parts:
            assert part.encoder_ids.shape in cut.shapes and part.encoder_ids.size <= max(positions, LONGEST)
            assert part.targets.shape == (len(part.member), 4)
            np.testing.assert_array_equal(part.encoder_segments, part.encoder_ids != 0)
            np.testing.assert_array_equal(part.target_segments, part.targets != 0)
            assert {array.dtype for array in part} == {np.dtype(np.int32)}


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ("prefix", [-4, -5, 7, 8, 9, EOS]),
        ("suffix", [7, 8, 9, EOS, -4, -5]),
        ("before_eos", [7, 8, 9, -4, -5, EOS]),
        ("after_first", [7, -4, -5, 8, 9, EOS]),
    ],
)
def test_a_prompt_stands_where_its_placement_says(placement, expected):
    """It is the second of a bank, so its slots begin after the three rows of the first."""
    bank = [Member(name, "t", 0, Prompt(length=n, placement=placement)) for name, n in (("a", 3), ("b", 2))]
    laid = layout(bank[1], slots(bank)[1])(Lengths(16, 4).input_ids([7, 8, 9]))
    assert laid.tolist() == expected and laid.dtype == np.int32
    only_eos = sorted(layout(bank[1], slots(bank)[1])(Lengths(16, 4).input_ids([])).tolist())
    assert only_eos == [-5, -4, EOS]  # an empty input


def test_every_placement_is_tested_above():
    (parameters,) = (m for m in test_a_prompt_stands_where_its_placement_says.pytestmark if m.name == "parametrize")
    assert {placement for placement, _ in parameters.args[1]} == set(PLACEMENTS)


@pytest.mark.parametrize(
    ("tokens", "expected"), [(2, [5, 6, EOS]), (3, [5, 6, 7, EOS]), (4, [5, 6, 7, EOS]), (9, [5, 6, 7, EOS]), (0, [EOS])]
)
def test_what_is_too_long_is_cut_before_its_end_of_sequence(tokens, expected):
    ids = np.arange(5, 5 + tokens, dtype=np.int32)
    assert Lengths(4, 99).input_ids(ids).tolist() == expected
    assert Lengths(99, 4).target_ids(ids).tolist() == expected


class Split:
    """The lengths of a split's examples, in tokens without EOS."""

    targets_end = True

    def __init__(self, inputs, targets):
        self.input_lengths, self.target_lengths = np.array(inputs, np.int32), np.array(targets, np.int32)

    def __len__(self) -> int:
        return len(self.input_lengths)


SPLITS = {("boolq", "train"): Split([3, 10, 11, 12], [1, 1, 2, 3]), ("boolq", "validation"): Split([4, 9], [1, 1])}


def test_the_longest_input_and_target_are_the_limits_where_nothing_is_cut():
    assert limits(SPLITS, 512, None, False) == (Lengths(13, 4), [])


def test_what_is_cut_is_counted():
    found, notes = limits(SPLITS, 11, None, False)
    assert found == Lengths(11, 4)
    assert notes == ["boolq train: 2 of 4 inputs (50.0%) are cut to 11 tokens"]


def test_targets_are_not_cut_in_silence():
    with pytest.raises(UserError, match=r"1 of 4 targets \(25.0%\) are cut to 3 tokens; raise target_length to 4, or .*truncate"):
        limits(SPLITS, 512, 3, False)
    assert limits(SPLITS, 512, 3, True) == (Lengths(13, 3), ["boolq train: 1 of 4 targets (25.0%) are cut to 3 tokens"])


@pytest.mark.parametrize(("inputs", "targets"), [(1, None), (512, 1), (512, 0), (0, 8), (-5, 8)])
def test_a_limit_without_room_for_a_token_is_refused(inputs, targets):
    with pytest.raises(UserError, match="must be at least 2"):
        limits(SPLITS, inputs, targets, True)
