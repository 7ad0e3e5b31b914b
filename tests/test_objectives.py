"""Pre-training objectives: nothing of the text is lost or mixed, and batch t is a function of the seed and t."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptune_cli.data.objectives import EOS, PrefixLM, SpanCorruption, TextBatches
from ptune_cli.data.text import Text, read
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError

SENTINELS = range(999, 899, -1)


def text_of(*lengths: int) -> Text:
    """Documents of different ids, each as long as given with its EOS; every token of the text is another, from 2 to 899."""
    documents, first = [], 2
    for length in lengths:
        documents.append(np.append(np.arange(first, first + length - 1), EOS).astype(np.uint16))
        first += length - 1
    assert first <= SENTINELS[-1]
    return Text(np.concatenate(documents), np.cumsum([0, *lengths]))


LONG = text_of(300, 1, 2, 200, 40, 90, 200)


def sentinel(i: int) -> int:
    return SENTINELS[i]


def reassembled(inputs, targets) -> list[int]:
    """The input with each sentinel replaced by what follows it in the target."""
    hidden, current = {}, None
    for token in targets:
        if token in SENTINELS:
            current = hidden.setdefault(token, [])
        else:
            current.append(token)
    return [token for t in inputs for token in (hidden[t] if t in SENTINELS else [t])]


@settings(deadline=None, derandomize=True)
@given(
    length=st.integers(16, 128),
    density=st.sampled_from([0.05, 0.15, 0.3]),
    mean_span=st.sampled_from([1.0, 2.0, 3.0, 10.0]),
    seed=st.integers(0, 1000),
)
def test_span_corruption_hides_the_share_it_says_and_loses_nothing(length, density, mean_span, seed):
    objective = SpanCorruption(length=length, density=density, mean_span=mean_span)
    inputs, targets = objective(LONG, sentinel, np.random.default_rng(seed))
    assert len(inputs) == length and inputs[-1] == targets[-1] == EOS
    inputs, targets = inputs[:-1].tolist(), targets[:-1].tolist()
    window = reassembled(inputs, targets)
    at = int(np.flatnonzero(LONG.ids == next(t for t in window if t != EOS))[0]) - [t == EOS for t in window].index(False)
    assert window == LONG.ids[at : at + len(window)].tolist()
    # Sentinels stand in order in both; the text begins unhidden, and no two spans touch.
    marks = [token for token in inputs if token in SENTINELS]
    assert marks == [token for token in targets if token in SENTINELS] == list(SENTINELS[: len(marks)])
    assert inputs[0] not in SENTINELS and targets[0] in SENTINELS
    assert not any(a in SENTINELS and b in SENTINELS for row in (inputs, targets) for a, b in zip(row, row[1:], strict=False))
    assert len(targets) - len(marks) == max(round(len(window) * density), 1)
    assert len(marks) == max(round((len(targets) - len(marks)) / mean_span), 1)


def test_t5s_own_span_corruption_is_the_known_one():
    """512 ids of input and 114 of target, from 568 tokens of text: the numbers of T5's 512/114 pre-training."""
    objective = SpanCorruption(length=512)
    inputs, targets = objective(LONG, sentinel, np.random.default_rng(0))
    assert (objective.window(), len(inputs), len(targets)) == (568, 512, 114)


def test_spans_are_of_random_lengths_and_every_token_is_hidden_sometimes():
    text, objective = text_of(80), SpanCorruption(length=64)
    hidden, spans = set(), set()
    for seed in range(500):
        _, targets = objective(text, sentinel, np.random.default_rng(seed))
        at = np.flatnonzero(np.isin(targets, SENTINELS))
        spans |= set(np.diff(np.append(at, len(targets) - 1)) - 1)
        hidden |= set(targets.tolist())
    assert {1, 2, 3} <= spans
    assert hidden >= set(text.ids[8:-1].tolist())  # the first tokens are rarely behind one that is shown


def test_a_text_shorter_than_the_window_is_taken_whole():
    inputs, targets = SpanCorruption(length=128)(text_of(20), sentinel, np.random.default_rng(0))
    assert reassembled(inputs[:-1].tolist(), targets[:-1].tolist()) == text_of(20).ids.tolist()


@settings(deadline=None, derandomize=True)
@given(inputs=st.integers(1, 40), targets=st.integers(1, 40), seed=st.integers(0, 1000))
def test_a_prefix_and_its_continuation_are_a_window_of_one_document(inputs, targets, seed):
    pair = PrefixLM(inputs=inputs, targets=targets)(LONG, sentinel, np.random.default_rng(seed))
    assert pair.inputs[-1] == EOS and len(pair.inputs) <= inputs and 1 <= len(pair.targets) <= targets
    window = [*pair.inputs[:-1], *pair.targets]
    assert EOS not in window[:-1]  # EOS only where the document ends
    starts = [i for i in range(len(LONG.ids)) if LONG.ids[i : i + len(window)].tolist() == window]
    document = LONG.document(starts[0])
    assert len(window) == min(len(document), inputs - 1 + targets)  # as much of it as there is room for
    if len(document) > len(window):
        assert (len(pair.inputs), len(pair.targets)) == (inputs, targets)


def test_documents_are_drawn_by_their_length_and_their_ends_are_seen():
    pairs = [PrefixLM(inputs=8, targets=8)(LONG, sentinel, np.random.default_rng(seed)) for seed in range(500)]
    ends = sum(pair.targets[-1] == EOS for pair in pairs)
    # Of the 300 tokens of the first document 286 windows of 15 begin there, and one is the last: few end, but some do.
    assert 5 < ends < 100
    first = sum(pair.targets[0] in LONG.document(0) for pair in pairs)
    assert abs(first / 500 - 300 / len(LONG.ids)) < 5 * 0.5 / 500**0.5  # five standard deviations


def batches(objective, seed: int = 0, microbatches: int = 1, size: int = 8) -> TextBatches:
    return TextBatches(LONG, objective, sentinel, size, seed, microbatches)


@pytest.mark.parametrize("objective", [SpanCorruption(length=32), PrefixLM(inputs=16, targets=16)], ids=["span", "prefix"])
def test_a_batch_is_a_function_of_seed_and_step(objective):
    def row(seed: int, step: int, microbatches: int = 1) -> set[bytes]:
        parts = batches(objective, seed, microbatches)(step)
        assert len(parts) == microbatches
        return {x[x != 0].tobytes() + y[y != 0].tobytes() for part in parts for x, y in zip(part[0], part[2], strict=True)}

    assert row(0, 5) == row(0, 5) == row(0, 5, 4)
    every = [row(seed, step) for seed in (0, 1) for step in (0, 1)]
    assert len(set.union(*every)) == 32  # no two rows of a batch, of two steps or of two seeds are one


def test_a_batch_holds_its_rows_with_their_segments_and_dropout():
    (first, second) = batches(PrefixLM(inputs=16, targets=12), seed=3, microbatches=2)(7)
    for part in (first, second):
        np.testing.assert_array_equal(part.encoder_segments, part.encoder_ids != 0)
        np.testing.assert_array_equal(part.target_segments, part.targets != 0)
        assert not part.member.any() and (part.dropout[:, 0, :2] == (3, 7)).all()
    assert sorted([*first.dropout[:, 0, 2], *second.dropout[:, 0, 2]]) == list(range(8))
    assert first.encoder_segments.sum(axis=1).max() <= second.encoder_segments.sum(axis=1).min()


@pytest.mark.parametrize(("size", "microbatches"), [(8, 3), (4, 8), (8, 0)])
def test_rows_that_do_not_divide_are_refused(size, microbatches):
    with pytest.raises(UserError, match=f"{size} rows .* {microbatches} microbatches"):
        batches(PrefixLM(), size=size, microbatches=microbatches)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(Path(__file__).parent / "data" / "tiny.spiece.model")


def test_a_text_file_is_tokenised_once_a_document_a_line(vocabulary, tmp_path):
    lines = ["a bird that swims", "the field", "running water"]
    (tmp_path / "text.txt").write_text("\n\n".join(lines) + "\n")
    for _ in range(2):
        text = read(str(tmp_path / "text.txt"), vocabulary, tmp_path / "cache")
        found = [text.ids[a:b].tolist() for a, b in zip(text.starts, text.starts[1:], strict=False)]
        assert sorted(found) == sorted([[*vocabulary.encode(line), EOS] for line in lines])
        assert [text.document(i).tolist() for i in text.starts[:-1]] == found
        assert [text.document(i - 1).tolist() for i in text.starts[1:]] == found
    (tmp_path / "text.txt").write_text("another")
    assert len(read(str(tmp_path / "text.txt"), vocabulary, tmp_path / "cache").starts) == 2


@pytest.mark.parametrize(("content", "words"), [(None, "no text file"), ("", "no text in"), (" \n\n", "no text in")])
def test_a_file_without_text_is_one_line(content, words, vocabulary, tmp_path):
    if content is not None:
        (tmp_path / "text.txt").write_text(content)
    with pytest.raises(UserError, match=words):
        read(str(tmp_path / "text.txt"), vocabulary, tmp_path / "cache")
