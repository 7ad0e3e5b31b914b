"""Hugging Face folders: what is written is read back bit for bit, `transformers` computes the same, faults are one line."""

import json
from dataclasses import replace
from pathlib import Path

import huggingface_families
import ml_dtypes
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from huggingface_families import ids_and_targets, random_params
from safetensors.numpy import load_file, save_file

from ptune_cli import shipped
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.formats import huggingface, huggingface_writing
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.model import T5

T5_1_1 = T5Config(vocab_size=20, emb_dim=12, num_heads=2, head_dim=4, mlp_dim=10, num_encoder_layers=2, num_decoder_layers=3)
T5_1_0 = replace(T5_1_1, mlp_activations=("relu",), logits_via_embedding=True)
WEIGHTS, CONFIG = "model.safetensors", "config.json"


@pytest.fixture
def folder(tmp_path) -> Path:
    huggingface_writing.write(tmp_path, T5_1_1, random_params(T5_1_1))
    return tmp_path


def change_config(folder: Path, **settings) -> None:
    old = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**old, **settings}))


def change_tensors(folder: Path, change) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def error_of(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        huggingface.read(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_equal(params: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert params.keys() == expected.keys()
    for name, array in expected.items():
        assert params[name].dtype == array.dtype
        np.testing.assert_array_equal(params[name], array, err_msg=name)


@pytest.mark.parametrize("config", [T5_1_1, T5_1_0], ids=["1.1", "1.0"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16], ids=["float32", "float16", "bfloat16"])
def test_what_is_written_is_read_back_bit_for_bit(config, dtype, tmp_path):
    params = random_params(config, dtype)
    huggingface_writing.write(tmp_path, config, params)
    read_config, read_params = huggingface.read(tmp_path, np.dtype(dtype).name)
    assert read_config == config
    assert_equal(read_params, params)
    assert huggingface.is_huggingface(tmp_path) and sorted(f.name for f in tmp_path.iterdir()) == [CONFIG, WEIGHTS]


def test_every_size_and_setting_is_read_back(tmp_path):
    config = replace(T5_1_1, mlp_activations=("silu", "linear"), dropout_rate=0.05, relative_buckets=8, relative_max_distance=20)
    huggingface_writing.write(tmp_path, config, random_params(config))
    assert huggingface.read(tmp_path)[0] == config


def test_float32_is_rounded_to_bfloat16_as_numpy_does(folder):
    rounded = {name: array.astype("bfloat16") for name, array in random_params(T5_1_1).items()}
    assert_equal(huggingface.read(folder, "bfloat16")[1], rounded)


def test_a_model_in_several_files_is_read(folder):
    tensors = load_file(folder / WEIGHTS)
    names = sorted(tensors)
    shards = {"a.safetensors": names[:9], "b.safetensors": names[9:]}
    for file, part in shards.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / WEIGHTS).unlink()
    assert_equal(huggingface.read(folder)[1], random_params(T5_1_1))
    (folder / "b.safetensors").unlink()
    assert f"cannot read {folder}/b.safetensors" in error_of(folder)


def test_copies_of_the_embedding_are_passed_over(tmp_path):
    huggingface_writing.write(tmp_path, T5_1_0, random_params(T5_1_0))
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    change_tensors(tmp_path, lambda tensors: tensors.update({name: tensors["shared.weight"] for name in copies}))
    assert_equal(huggingface.read(tmp_path)[1], random_params(T5_1_0))
    change_tensors(tmp_path, lambda tensors: tensors.pop("shared.weight"))
    assert_equal(huggingface.read(tmp_path)[1], random_params(T5_1_0))


def test_a_copy_of_the_embedding_that_differs_is_refused(tmp_path):
    huggingface_writing.write(tmp_path, T5_1_0, random_params(T5_1_0))
    change_tensors(tmp_path, lambda tensors: tensors.update({"lm_head.weight": tensors["shared.weight"] + 1}))
    message = error_of(tmp_path)
    assert "lm_head.weight" in message and "shared.weight" in message


def test_the_settings_of_transformers_5_are_understood(folder):
    change_config(folder, tie_word_embeddings=True, scale_decoder_outputs=False)
    assert not huggingface.read(folder)[0].logits_via_embedding


def test_an_mt5_is_a_t5_1_1(folder):
    change_config(folder, model_type="mt5", tie_word_embeddings=True)
    assert huggingface.read(folder)[0] == T5_1_1


def test_settings_that_the_first_t5_left_out_have_their_defaults(tmp_path):
    huggingface_writing.write(tmp_path, T5_1_0, random_params(T5_1_0))
    settings = json.loads((tmp_path / CONFIG).read_text())
    for name in ("feed_forward_proj", "tie_word_embeddings", "relative_attention_max_distance", "decoder_start_token_id"):
        del settings[name]
    (tmp_path / CONFIG).write_text(json.dumps(settings))
    assert huggingface.read(tmp_path)[0] == T5_1_0


def test_missing_unexpected_and_misshaped_tensors_are_all_named_in_one_line(folder):
    def change(tensors):
        del tensors["encoder.final_layer_norm.weight"]
        tensors["encoder.block.0.layer.0.SelfAttention.q.bias"] = np.zeros(8, np.float32)
        tensors["lm_head.weight"] = np.zeros((12, 20), np.float32)

    change_tensors(folder, change)
    message = error_of(folder)
    assert "1 missing: encoder.final_layer_norm.weight" in message
    assert "1 unexpected: encoder.block.0.layer.0.SelfAttention.q.bias" in message
    assert "1 of another shape: lm_head.weight (12, 20), expected (20, 12)" in message


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"model_type": "bert"}, "model_type 'bert'"),
        ({"model_type": "umt-5"}, "did you mean 'umt5'"),
        ({"layer_norm_epsilon": 1e-5}, "layer_norm_epsilon 1e-05, expected T5's 1e-06"),
        ({"pad_token_id": 3}, "pad_token_id 3"),
        ({"d_model": "12"}, "d_model '12'"),
        ({"num_heads": None}, "num_heads None"),
        ({"dropout_rate": 2}, "dropout_rate 2"),
        ({"num_heads": 3}, "relative_attention_bias.weight (32, 2), expected (32, 3)"),
        ({"num_layers": 4}, "missing: encoder.block.2."),
        ({"num_decoder_layers": 2}, "unexpected: decoder.block.2."),
    ],
)
def test_settings_of_another_model_are_named(settings, named, folder):
    change_config(folder, **settings)
    message = error_of(folder)
    assert named in message and str(folder) in message


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"model_type": ["t5"]}', "\udce9"])
def test_a_config_that_is_none_is_named(content, folder):
    (folder / CONFIG).write_bytes(content.encode(errors="surrogateescape"))
    assert str(folder / CONFIG) in error_of(folder)


@pytest.mark.parametrize("size", [0, 7, 100, 5000, -1])
def test_a_truncated_file_is_named(size, folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:size])
    assert f"cannot read {folder / WEIGHTS}" in error_of(folder)


def test_a_header_longer_than_the_file_is_refused(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(b"\xff" * 7 + data[7:])
    assert f"cannot read {folder / WEIGHTS}" in error_of(folder)


def test_weights_of_another_type_or_not_finite_are_named(folder):
    name = "lm_head.weight"
    change_tensors(folder, lambda tensors: tensors[name].__setitem__((0, 0), np.inf))
    assert f"{name} of {folder / WEIGHTS} holds infinite values" in error_of(folder)
    change_tensors(folder, lambda tensors: tensors.update({name: np.zeros((20, 12), np.int8)}))
    assert f"{name} of {folder / WEIGHTS} is stored as I8" in error_of(folder)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        huggingface_writing.write(tmp_path / "file" / "model", T5_1_1, random_params(T5_1_1))


def transformers_logits(folder: Path, ids: np.ndarray, target_ids: np.ndarray) -> np.ndarray:
    pytest.importorskip("torch", reason="torch is not among the test requirements")
    pytest.importorskip("transformers", reason="transformers is not among the test requirements")
    return huggingface_families.transformers_logits(folder, ids, target_ids)


def ptune_logits(config: T5Config, params: dict[str, np.ndarray], ids: np.ndarray, target_ids: np.ndarray) -> np.ndarray:
    return np.asarray(T5(config).apply({"params": unflatten_dict(params, sep="/")}, ids, target_ids))


@pytest.mark.parametrize("config", [T5_1_1, T5_1_0], ids=["1.1", "1.0"])
def test_transformers_computes_the_same_logits_from_a_written_folder(config, tmp_path):
    huggingface_writing.write(tmp_path, config, random_params(config))
    logits = transformers_logits(tmp_path, *ids_and_targets())
    # 1e-4: two implementations in float32, that sum in different orders
    ours = ptune_logits(config, *huggingface.read(tmp_path)[1:], *ids_and_targets())
    np.testing.assert_allclose(ours, logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", shipped.names())
def test_transformers_computes_the_same_logits_from_every_model_that_ships(name):
    config, params = huggingface.read(shipped.locate(name))
    ids, target_ids = ids_and_targets(config.vocab_size)
    logits = transformers_logits(Path(shipped.locate(name)), ids, target_ids)
    np.testing.assert_allclose(ptune_logits(config, params, ids, target_ids), logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", shipped.names())
def test_transformers_cuts_text_as_every_model_that_ships_does(name):
    transformers = pytest.importorskip("transformers", reason="transformers is not among the test requirements")
    theirs = transformers.AutoTokenizer.from_pretrained(shipped.locate(name))
    ours = Vocabulary(Path(shipped.locate(name)) / "spiece.model")
    assert len(theirs) == ours.size
    for text in (
        "gloss: a large bird of prey",
        "Hello   World \u00e9 \u65e5\u672c",
        "a <extra_id_0> b <extra_id_99> c.",
        " 12,345.67 ",
        "",
    ):
        assert theirs(text).input_ids == [*ours.encode(text), ours.eos_id]


@pytest.mark.parametrize("config", [T5_1_1, T5_1_0], ids=["1.1", "1.0"])
def test_what_transformers_saves_is_read(config, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not among the test requirements")
    transformers = pytest.importorskip("transformers", reason="transformers is not among the test requirements")
    huggingface_writing.write(tmp_path / "ours", config, random_params(config, ml_dtypes.bfloat16))
    theirs = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "ours", dtype="auto")
    assert theirs.dtype == torch.bfloat16
    theirs.save_pretrained(tmp_path / "theirs")
    read_config, params = huggingface.read(tmp_path / "theirs", "bfloat16")
    assert read_config == config
    assert_equal(params, random_params(config, ml_dtypes.bfloat16))


def test_the_weights_can_be_read_by_whoever_can_read_the_config(folder):
    assert (folder / WEIGHTS).stat().st_mode == (folder / CONFIG).stat().st_mode
