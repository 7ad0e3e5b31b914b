"""The TensorFlow-free vocabulary gives what seqio's gives."""

import os
from pathlib import Path

import pytest
import sentencepiece

from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError

TINY = Path(__file__).parent / "data" / "tiny.spiece.model"
TEXTS = (
    "",
    "   ",
    "The animal ran across the field.",
    "  two  spaces,\ttab and\nnewline ",
    "words that are not there: naïve café 東京 😀",
    "I like <extra_id_0> and <extra_id_99>.",
    "jel<extra_id_3>ly <extra_id_100>",
    "gloss: a bird that swims\x00 </s> <pad> <unk>",
)


@pytest.fixture(scope="module")
def ours() -> Vocabulary:
    return Vocabulary(TINY)


@pytest.fixture(scope="module")
def theirs():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    seqio = pytest.importorskip("seqio", reason="seqio is what this is compared with")
    return seqio.SentencePieceVocabulary(str(TINY), extra_ids=100)


def test_size_and_special_ids_equal_seqio(ours, theirs):
    assert (ours.size, ours.pad_id, ours.eos_id, ours.unk_id) == (theirs.vocab_size, theirs.pad_id, theirs.eos_id, theirs.unk_id)


@pytest.mark.parametrize("text", TEXTS)
def test_encoding_equals_seqio(ours, theirs, text):
    assert ours.encode(text) == list(theirs.encode(text)) == theirs.encode_tf(text).numpy().tolist()


def test_decoding_equals_seqio(ours, theirs):
    word, other = ours.encode("The animal")[:2]
    sequences = [ours.encode(text) for text in TEXTS]
    sequences += [[word, 1, other], [0, word, 0, 0], [1, word], [], [2, 2], [ours.size - 1, word], [ours.size + 27, word]]
    sequences += [[token] for token in range(ours.size)]
    for ids in sequences:
        assert ours.decode(ids) == theirs.decode(ids), ids


def test_sentinels_count_down_from_the_last_id_as_in_seqio(ours, theirs):
    for index in (0, 1, 42, 99):
        assert [ours.sentinel(index)] == list(theirs.encode(f"<extra_id_{index}>")) == [ours.size - 1 - index]
    assert ours.piece(ours.sentinel(7)) == "▁<extra_id_7>"
    for index in (-1, 100):
        with pytest.raises(IndexError, match="of 100"):
            ours.sentinel(index)


def test_rows_of_the_embedding_table_beyond_the_vocabulary_have_a_name(ours):
    assert ours.piece(0) == "<pad>"
    assert ours.piece(ours.size) == f"<unused_{ours.size}>"


def test_a_missing_vocabulary_is_named(tmp_path):
    with pytest.raises(UserError, match=f"no vocabulary at {tmp_path / 'none.model'}"):
        Vocabulary(tmp_path / "none.model")
    with pytest.raises(UserError, match=f"cannot read the vocabulary {tmp_path}: Is a directory"):
        Vocabulary(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a model", TINY.read_bytes()[:1000]], ids=["empty", "text", "truncated"])
def test_a_corrupt_vocabulary_is_named(tmp_path, content):
    (tmp_path / "bad.model").write_bytes(content)
    with pytest.raises(UserError, match="bad.model is not a SentencePiece model"):
        Vocabulary(tmp_path / "bad.model")


def test_a_vocabulary_with_other_special_ids_is_refused(tmp_path):
    text = iter(["the animal ran across the field", "a bird that swims"] * 5)
    with open(tmp_path / "other.model", "wb") as file:
        # SentencePiece's own defaults: unknown 0, begin 1, end 2, no padding.
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=text, model_writer=file, vocab_size=30, hard_vocab_limit=False, minloglevel=2
        )
    with pytest.raises(UserError, match=r"other.model numbers \(padding, end, unknown\) \(-1, 2, 0\); T5 needs \(0, 1, 2\)"):
        Vocabulary(tmp_path / "other.model")
