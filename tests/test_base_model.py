"""The base model of a run: which weights they are, whatever file they come from, and what is said when they do not fit."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import model_folder
import numpy as np
import pytest
from flax.serialization import msgpack_serialize
from flax.traverse_util import unflatten_dict

from ptune_cli import shipped
from ptune_cli.base_model import BaseModel, flat_parameters
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.formats import huggingface_writing
from ptune_cli.t5.config import T5Config, parameter_shapes
from ptune_cli.t5.fingerprint import fingerprint

VOCABULARY = str(model_folder.VOCABULARY)
CONFIG = replace(model_folder.config(), emb_dim=4, num_heads=1, head_dim=4, mlp_dim=6)


def weights(dtype=np.float32) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in parameter_shapes(CONFIG).items()}


@pytest.fixture
def folder(tmp_path) -> Path:
    """The weights as a Hugging Face folder."""
    huggingface_writing.write(tmp_path / "hf", CONFIG, weights())
    shutil.copy(VOCABULARY, tmp_path / "hf" / "spiece.model")
    return tmp_path / "hf"


def t5x(folder: Path) -> BaseModel:
    """The same weights as a T5X checkpoint, which says neither sizes nor vocabulary."""
    tree = {"version": 3, **unflatten_dict({f"optimizer/target/{n}": a for n, a in weights().items()}, sep="/")}
    (folder / "checkpoint_1000").mkdir(parents=True)
    (folder / "checkpoint_1000" / "checkpoint").write_bytes(msgpack_serialize(tree))
    return BaseModel(checkpoint=str(folder), config=CONFIG, vocabulary=VOCABULARY)


def error_of(act) -> str:
    with pytest.raises(UserError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_fingerprint_is_of_the_weights_and_not_of_their_file(folder, tmp_path):
    """float32 or bfloat16, on disk or in memory; T5X's format or Hugging Face's."""
    huggingface_writing.write(tmp_path / "half", CONFIG, weights(ml_dtypes.bfloat16))
    shutil.copy(VOCABULARY, tmp_path / "half" / "spiece.model")
    models = [
        BaseModel(checkpoint=str(folder)),
        BaseModel(checkpoint=str(folder), weights_dtype="bfloat16"),
        BaseModel(checkpoint=str(tmp_path / "half")),
        t5x(tmp_path / "t5x"),
    ]
    loaded = [model.load() for model in models]
    assert {frozen.fingerprint for frozen in loaded} == {fingerprint(weights())}
    assert [frozen.embeddings.dtype.name for frozen in loaded] == ["float32", "bfloat16", "float32", "float32"]
    assert all(re.fullmatch("[0-9a-f]{64}", frozen.fingerprint) for frozen in loaded)


def test_what_is_loaded_is_what_was_written(folder):
    frozen = BaseModel(checkpoint=str(folder), dtype="bfloat16", dropout_rate=0.2).load()
    assert frozen.config == replace(CONFIG, dtype="bfloat16", dropout_rate=0.2) == frozen.model.config
    assert frozen.vocabulary.sha256 == Vocabulary(VOCABULARY).sha256
    found = flat_parameters(frozen.params)
    assert found.keys() == weights().keys()
    for name, array in weights().items():
        np.testing.assert_array_equal(found[name], array)


def test_a_change_of_any_array_changes_the_fingerprint():
    marks = {fingerprint(weights())}
    for name, array in weights().items():
        marks.add(fingerprint({**weights(), name: array * 1.01}))
    assert len(marks) == 1 + len(weights())


def test_names_and_shapes_are_in_the_fingerprint_and_the_order_is_not():
    flat = {"a": np.ones((2, 3), np.float32), "b": np.ones(6, np.float32)}
    others = [{"a": flat["a"].T, "b": flat["b"]}, {"a": flat["a"], "c": flat["b"]}, {"a": flat["a"]}]
    assert len({fingerprint(each) for each in [flat, *others]}) == 4
    assert fingerprint(flat) == fingerprint(dict(reversed(flat.items())))


def test_sizes_are_known_without_reading_any_weight(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    assert BaseModel(checkpoint=str(folder)).sizes() == CONFIG
    empty = tmp_path / "no checkpoint in here"
    empty.mkdir()
    sizes = BaseModel(checkpoint=str(empty), config=CONFIG, dtype="bfloat16", dropout_rate=0.0).sizes()
    assert sizes == replace(CONFIG, dtype="bfloat16", dropout_rate=0.0)


def test_a_prompt_file_can_tell_its_base_model(folder, tmp_path):
    for model in (BaseModel(checkpoint=str(folder), dtype="bfloat16"), t5x(tmp_path / "t5x")):
        assert BaseModel.from_json(json.loads(json.dumps(model.as_json()))) == model


def test_a_model_that_ships_is_found_by_its_name():
    assert "tiny" in shipped.names()
    model = BaseModel(checkpoint="tiny")
    assert model.sizes().vocab_size >= model.load_vocabulary().size
    assert Path(model.folder(), "model.safetensors").is_file()


def test_an_unknown_name_is_answered_with_the_nearest():
    assert "no model 'tinny'" in (message := error_of(BaseModel(checkpoint="tinny").folder))
    assert "did you mean 'tiny'?" in message


def test_an_unknown_path_is_answered_with_where_it_ends(tmp_path):
    message = error_of(BaseModel(checkpoint=str(tmp_path / "model")).load)
    assert f"no model '{tmp_path / 'model'}'" in message and str(tmp_path) in message.split("; ")[1]


def test_a_vocabulary_larger_than_the_embeddings_is_refused_before_any_weight_is_read(folder):
    size, rows = Vocabulary(VOCABULARY).size, Vocabulary(VOCABULARY).size - 1
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "vocab_size": rows}))
    (folder / "model.safetensors").unlink()
    message = error_of(BaseModel(checkpoint=str(folder)).load)
    assert f"has {size} ids" in message and f"only {rows} embeddings" in message


def test_a_checkpoint_that_does_not_say_what_it_needs_is_asked_about(folder, tmp_path):
    checkpoint = replace(t5x(tmp_path / "t5x"), vocabulary=None)
    assert "set the model's vocabulary to" in error_of(checkpoint.load_vocabulary)
    assert "no T5 sizes" in error_of(replace(checkpoint, config=None).sizes)
    (folder / "spiece.model").unlink()
    assert "no vocabulary at" in error_of(BaseModel(checkpoint=str(folder)).load)
    assert BaseModel(checkpoint=str(folder), vocabulary=VOCABULARY).load().config == CONFIG


def test_sizes_that_are_not_the_checkpoints_are_refused(tmp_path):
    other: T5Config = replace(CONFIG, mlp_dim=7)
    assert "mlp" in error_of(replace(t5x(tmp_path / "t5x"), config=other).load)
