"""Vocabularies as the folders of every family have them: a tokenizer.json alone, sentinels in the file (mT5), bytes (ByT5)."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from difficult_texts import PLAIN, TEXTS
from sentencepiece import sentencepiece_model_pb2

from ptune_cli import shipped
from ptune_cli.base_model import BaseModel
from ptune_cli.data import vocabularies
from ptune_cli.data.byte_vocabulary import ByteVocabulary
from ptune_cli.data.prepared import Prepared
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.formats.vocabulary_file import find

ORACLES = Path(__file__).parent / "oracles" / "huggingface"  # written by transformers: see make.py there
TOKENIZER = ORACLES / "tokenizer" / "tokenizer.json"
IDS = json.loads((ORACLES / "ids.json").read_text())
TINY = Path(__file__).parent / "data" / "tiny.spiece.model"
LATER = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}  # no step WhitespaceSplit


def rebuilt(tmp_path: Path, change=lambda settings: None) -> Vocabulary:
    """That of a folder with a tokenizer.json alone."""
    settings = json.loads(TOKENIZER.read_text())
    change(settings)
    (tmp_path / "tokenizer.json").write_text(json.dumps(settings))
    return Vocabulary(find(str(tmp_path), tmp_path / "cache"))


def with_own_sentinels(file: Path, count: int, source: Path = TINY, ascending: bool = False) -> Path:
    """A copy of a SentencePiece model with sentinels of its own, as mT5's."""
    model = sentencepiece_model_pb2.ModelProto.FromString(source.read_bytes())
    for index in range(count) if ascending else reversed(range(count)):
        model.pieces.add(piece=f"▁<extra_id_{index}>", score=0.0, type=model.SentencePiece.USER_DEFINED)
    file.write_bytes(model.SerializeToString())
    return file


def assert_equal(ours: Vocabulary, expected: Vocabulary) -> None:
    assert (ours.size, ours.extra_ids, ours.pieces) == (expected.size, expected.extra_ids, expected.pieces)
    assert [ours.piece(i) for i in range(ours.size + 1)] == [expected.piece(i) for i in range(ours.size + 1)]
    for text in TEXTS:
        assert ours.encode(text) == expected.encode(text), text
        assert ours.decode(ours.encode(text)) == expected.decode(ours.encode(text))


def test_a_tokenizer_json_has_the_ids_of_the_model_that_it_was_made_from_and_of_transformers(tmp_path):
    ours = rebuilt(tmp_path)
    assert_equal(ours, Vocabulary(ORACLES / "tokenizer" / "spiece.model"))
    for text, ids in IDS["T5"].items():
        assert [*ours.encode(text), ours.eos_id] == ids, text


def test_the_spellings_of_other_versions_have_the_same_ids(tmp_path):
    def older(settings):
        settings["pre_tokenizer"]["pretokenizers"][1] = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}

    def newer(settings):
        spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}
        strip = {"type": "Strip", "strip_left": False, "strip_right": True}
        settings["normalizer"] = {"type": "Sequence", "normalizers": [settings["normalizer"], strip, spaces]}
        settings["pre_tokenizer"] = LATER

    def outside(settings):
        """Sentinels that are tokens added to the pieces."""
        settings["model"]["vocab"] = settings["model"]["vocab"][:-100]

    for change in (older, newer, outside):
        assert_equal(rebuilt(tmp_path, change), Vocabulary(ORACLES / "tokenizer" / "spiece.model"))


def test_a_large_table_of_characters_is_kept(tmp_path):
    """That of the models that ship, which is T5's own: as `transformers` writes it in base 64."""
    import base64

    file = Path(shipped.locate("tiny")) / "spiece.model"
    model = sentencepiece_model_pb2.ModelProto.FromString(file.read_bytes())

    def change(settings):
        settings["normalizer"]["precompiled_charsmap"] = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
        sentinels = settings["model"]["vocab"][-100:]
        settings["model"]["vocab"] = [[piece.piece, piece.score] for piece in model.pieces] + sentinels
        for i, token in enumerate(settings["added_tokens"][3:]):
            token["id"] = len(model.pieces) + i

    assert_equal(rebuilt(tmp_path, change), Vocabulary(file))


def test_a_tokenizer_json_becomes_one_file_whatever_its_folder(tmp_path):
    paths = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        shutil.copy(TOKENIZER, tmp_path / name / "tokenizer.json")
        paths.append(find(str(tmp_path / name), tmp_path / "cache"))
    assert paths[0] == paths[1] and paths[0].parent == tmp_path / "cache" / "vocabularies"
    shutil.copy(TINY, tmp_path / "one" / "spiece.model")
    assert find(str(tmp_path / "one"), tmp_path / "cache") == tmp_path / "one" / "spiece.model"  # which comes first


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda s: s.update(model={"type": "BPE", "vocab": {}, "merges": []}), "model of type 'BPE', expected 'Unigram'"),
        (lambda s: s.update(normalizer={"type": "Lowercase"}), "step 'Lowercase'"),
        (lambda s: s.update(pre_tokenizer={"type": "ByteLevel"}), "step 'ByteLevel'"),
        (lambda s: s.update(pre_tokenizer=None), "no step 'Metaspace'"),
        (lambda s: s["added_tokens"].append({"id": 999, "content": "<mine>"}), "token '<mine>' of its own"),
    ],
)
def test_a_tokenizer_json_of_another_kind_is_told(change, named, tmp_path):
    with pytest.raises(UserError) as caught:
        rebuilt(tmp_path, change)
    assert named in str(caught.value) and f"{tmp_path / 'tokenizer.json'} is not a T5's" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sentinels_in_the_file_are_recognised_and_no_more_are_added(tmp_path):
    ours = Vocabulary(with_own_sentinels(tmp_path / "own.model", 100))
    assert_equal(ours, Vocabulary(TINY))
    assert [ours.sentinel(i) for i in (0, 99)] == [ours.size - 1, ours.size - 100] == ours.encode("<extra_id_0> <extra_id_99>")
    more = Vocabulary(with_own_sentinels(tmp_path / "more.model", 300))
    assert (more.extra_ids, more.pieces) == (300, ours.pieces)


def test_sentinels_that_are_numbered_otherwise_are_refused(tmp_path):
    with pytest.raises(UserError, match="other.model has sentinels that do not count down to <extra_id_0> as the last piece"):
        Vocabulary(with_own_sentinels(tmp_path / "other.model", 100, ascending=True))


@pytest.fixture(scope="module")
def seqio_vocabulary():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    pytest.importorskip("seqio", reason="seqio is what this is compared with")
    from tasks import vocabulary

    return vocabulary


@pytest.mark.parametrize("count", [0, 100, 300])
def test_ids_and_sentinels_are_those_of_the_tasks(count, seqio_vocabulary, tmp_path):
    file = with_own_sentinels(tmp_path / "own.model", count)
    ours, theirs = Vocabulary(file), seqio_vocabulary.vocabulary(str(file))
    assert (ours.size, ours.extra_ids) == (theirs.vocab_size, seqio_vocabulary.sentinels(theirs))
    for text in TEXTS:
        assert ours.encode(text) == list(theirs.encode(text)) == theirs.encode_tf(text).numpy().tolist()


def test_bytes_are_those_of_the_tasks_and_of_transformers(seqio_vocabulary):
    ours, theirs = vocabularies.load("bytes"), seqio_vocabulary.vocabulary("bytes")
    assert isinstance(ours, ByteVocabulary)
    assert (ours.size, ours.pad_id, ours.eos_id, ours.unk_id) == (theirs.vocab_size, theirs.pad_id, theirs.eos_id, theirs.unk_id)
    for text in TEXTS:
        assert ours.encode(text) == list(theirs.encode(text)) == theirs.encode_tf(text).numpy().tolist()
        assert ours.decode(ours.encode(text)) == theirs.decode(ours.encode(text)) == text
    for ids in ([100, 1, 101], [0, 100, 2, 300, 383, 101], [203], [198, 172], [], [255, 0, 258]):
        assert ours.decode(ids) == theirs.decode(ids)
    for text in PLAIN:
        assert [*ours.encode(text), ours.eos_id] == IDS["ByT5"][text]
    assert [ours.sentinel(i) for i in (0, 99)] == [258, 159]  # bytes themselves, as ByT5 was trained
    assert [ours.piece(i) for i in (0, 1, 2, 3, 35, 68, 258, 259)] == [
        *("<pad>", "</s>", "<unk>", "<0x00>", "▁", "A", "<0xFF>", "<unused_259>")
    ]


@pytest.mark.parametrize("file", ["tokenizer_config.json", "config.json"])
def test_a_folder_of_byt5_is_known_by_its_settings(file, tmp_path):
    (tmp_path / file).write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))
    found = BaseModel(checkpoint="tiny", vocabulary=str(tmp_path)).load_vocabulary()
    assert isinstance(found, ByteVocabulary) and found.sha256 == vocabularies.load("bytes").sha256
    found.save(tmp_path / "copy")
    assert isinstance(vocabularies.load(str(tmp_path / "copy")), ByteVocabulary)


def test_a_task_of_seqio_is_prepared_in_bytes(seqio_vocabulary, tmp_path):
    from ptune_cli.data.prepare import prepare

    for task in ("kinds:kinds", "gloss_topic"):
        split = Prepared.open(prepare(task, "validation", ByteVocabulary(), tmp_path))
        assert len(split) > 0
        for i in range(len(split)):
            row, texts = (
                split.row(i),
                [(ids - 3).astype(np.uint8).tobytes().decode() for ids in (split.inputs(i), split.targets(i))],
            )
            assert texts == [row["inputs"], row["targets"]]
