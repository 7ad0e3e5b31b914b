"""Training batches: which rows at which step, laid out and padded how, and what the limits of length say."""

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from ptune_cli.data.batches import LENGTHS, Batches, Lengths, Source, compiled_length, order
from ptune_cli.data.limits import limits
from ptune_cli.errors import UserError
from ptune_cli.prompts.bank import PLACEMENTS, Member, Prompt, layout, slots

EOS = 1
LONGEST = 16 + 3  # inputs and prompt


def batches(count: int = 10, size: int = 4, seeds=(0,), microbatches: int = 1, examples=None) -> Batches:
    own = tiny.bank(seeds=seeds)
    sources = [Source(examples or tiny.Rows(count), m.seed, layout(m, rows)) for m, rows in zip(own, slots(own), strict=True)]
    return Batches(sources, size, Lengths(16, 4, prompt=3), microbatches)


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
        np.testing.assert_array_equal(np.concatenate(batches().rows(step)), order(0, 10, 4 * step, 4))
        for part, again in zip(run[step], batches()(step), strict=True):
            for a, b in zip(part, again, strict=True):
                np.testing.assert_array_equal(a, b)


def test_epochs_and_seeds_are_shuffled_differently():
    epochs = {tuple(order(seed, 40, 40 * epoch, 40)) for seed in (0, 1, 2) for epoch in (0, 1, 2)}
    assert len(epochs) == 9 and tuple(range(40)) not in epochs


def test_a_member_sees_the_same_rows_in_a_bank_as_alone():
    together, alone = batches(seeds=(0, 5)), batches(seeds=(5,))
    np.testing.assert_array_equal(together.rows(7)[1], alone.rows(7)[0])
    (bank,), (single,) = together(7), alone(7)
    np.testing.assert_array_equal(bank.dropout[bank.member == 1], single.dropout)


def contents(parts) -> list:
    """The rows of a step, without their padding, in one order."""
    rows = [row for part in parts for row in zip(*part, strict=True)]
    return sorted([[x[x != 0].tolist() for x in row[:4]] + [int(row[4]), row[5].tolist()] for row in rows])


@pytest.mark.parametrize("microbatches", [2, 4, 8])
def test_microbatches_hold_the_same_rows_sorted_by_length(microbatches):
    for step in range(4):
        whole, parts = (batches(seeds=(0, 1), microbatches=n)(step) for n in (1, microbatches))
        assert len(parts) == microbatches and len({len(part.member) for part in parts}) == 1
        assert contents(parts) == contents(whole)
        lengths = np.concatenate([part.encoder_segments.sum(axis=1) for part in parts])
        assert (np.diff(lengths) >= 0).all()


@pytest.mark.parametrize(("size", "microbatches"), [(5, 2), (4, 8)])
def test_rows_that_do_not_divide_are_refused(size, microbatches):
    with pytest.raises(UserError, match=f"{size} rows a step .* into {microbatches} microbatches"):
        batches(size=size, microbatches=microbatches)


def test_rows_are_padded_to_few_lengths():
    for step in range(20):
        for part in batches(microbatches=2)(step):
            longest = part.encoder_segments.sum(axis=1).max()
            assert part.encoder_ids.shape[1] == min(compiled_length(longest), LONGEST)
            assert part.targets.shape[1] == 4
            np.testing.assert_array_equal(part.encoder_segments, part.encoder_ids != 0)
            np.testing.assert_array_equal(part.target_segments, part.targets != 0)
            assert {array.dtype for array in part} == {np.dtype(np.int32)}


def test_padding_is_at_most_a_third():
    """From 8 positions to 2,048, in 17 lengths; longer ones are multiples of the last."""
    for length in range(9, LENGTHS[-1] + 1):
        assert length <= compiled_length(length) <= 1.5 * length
    assert [compiled_length(n) for n in (1, 8, 2049, 4096, 4097)] == [8, 8, 4096, 4096, 6144]


def test_no_row_is_padded_beyond_the_longest_there_can_be():
    """The paper's inputs of 512 with a prompt of 100 are 612 positions, where the next of the lengths is 768."""
    lengths = Lengths(512, 4, prompt=100)
    assert [lengths.compiled(n) for n in (500, 512, 513, 612)] == [512, 512, 612, 612]
    assert lengths.compiled(700) == 700  # a longer row, of a task that is not this run's, is not cut


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


def test_the_longest_target_is_the_default_limit():
    assert limits(SPLITS, 512, None, False) == (Lengths(512, 4), [])


def test_what_is_cut_is_counted():
    found, notes = limits(SPLITS, 11, None, False)
    assert found == Lengths(11, 4)
    assert notes == ["boolq train: 2 of 4 inputs (50.0%) are cut to 11 tokens"]


def test_targets_are_not_cut_in_silence():
    with pytest.raises(UserError, match=r"1 of 4 targets \(25.0%\) are cut to 3 tokens; raise target_length to 4, or .*truncate"):
        limits(SPLITS, 512, 3, False)
    assert limits(SPLITS, 512, 3, True) == (Lengths(512, 3), ["boolq train: 1 of 4 targets (25.0%) are cut to 3 tokens"])


@pytest.mark.parametrize(("inputs", "targets"), [(1, None), (512, 1), (512, 0), (0, 8), (-5, 8)])
def test_a_limit_without_room_for_a_token_is_refused(inputs, targets):
    with pytest.raises(UserError, match="must be at least 2"):
        limits(SPLITS, inputs, targets, True)
