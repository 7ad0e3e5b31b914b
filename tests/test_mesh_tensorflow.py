"""Mesh TensorFlow's checkpoints, written here by TensorFlow under the names that Google's have."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.convert import arguments
from ptune_cli.errors import UserError
from ptune_cli.formats import huggingface, mesh_tensorflow
from ptune_cli.formats.mesh_tensorflow_names import t5x_names
from ptune_cli.t5.config import T5Config, parameter_count, parameter_shapes

TINY = T5Config(vocab_size=12, emb_dim=6, num_heads=2, head_dim=4, mlp_dim=10, num_encoder_layers=1, num_decoder_layers=1)
OLDER = dataclasses.replace(TINY, mlp_activations=("relu",), logits_via_embedding=True)  # T5 1.0
ORACLE = Path(__file__).parent / "oracles" / "t5x_checkpoints" / "legacy" / "ckpt"
# As the graph of a T5 1.1 of one layer has them (model-info.txt of Mesh TensorFlow's trainer).
NAMES = {
    "shared/embedding": "token_embedder/embedding",
    "encoder/block_000/layer_000/SelfAttention/relative_attention_bias": "encoder/relpos_bias/rel_embedding",
    "encoder/block_000/layer_000/SelfAttention/q": "encoder/layers_0/attention/query/kernel",
    "encoder/block_000/layer_000/SelfAttention/k": "encoder/layers_0/attention/key/kernel",
    "encoder/block_000/layer_000/SelfAttention/v": "encoder/layers_0/attention/value/kernel",
    "encoder/block_000/layer_000/SelfAttention/o": "encoder/layers_0/attention/out/kernel",
    "encoder/block_000/layer_000/rms_norm/scale": "encoder/layers_0/pre_attention_layer_norm/scale",
    "encoder/block_000/layer_001/DenseReluDense/wi_0/kernel": "encoder/layers_0/mlp/wi_0/kernel",
    "encoder/block_000/layer_001/DenseReluDense/wi_1/kernel": "encoder/layers_0/mlp/wi_1/kernel",
    "encoder/block_000/layer_001/DenseReluDense/wo/kernel": "encoder/layers_0/mlp/wo/kernel",
    "encoder/block_000/layer_001/rms_norm/scale": "encoder/layers_0/pre_mlp_layer_norm/scale",
    "encoder/rms_norm/scale": "encoder/encoder_norm/scale",
    "decoder/block_000/layer_000/SelfAttention/relative_attention_bias": "decoder/relpos_bias/rel_embedding",
    "decoder/block_000/layer_000/SelfAttention/q": "decoder/layers_0/self_attention/query/kernel",
    "decoder/block_000/layer_000/SelfAttention/k": "decoder/layers_0/self_attention/key/kernel",
    "decoder/block_000/layer_000/SelfAttention/v": "decoder/layers_0/self_attention/value/kernel",
    "decoder/block_000/layer_000/SelfAttention/o": "decoder/layers_0/self_attention/out/kernel",
    "decoder/block_000/layer_000/rms_norm/scale": "decoder/layers_0/pre_self_attention_layer_norm/scale",
    "decoder/block_000/layer_001/EncDecAttention/q": "decoder/layers_0/encoder_decoder_attention/query/kernel",
    "decoder/block_000/layer_001/EncDecAttention/k": "decoder/layers_0/encoder_decoder_attention/key/kernel",
    "decoder/block_000/layer_001/EncDecAttention/v": "decoder/layers_0/encoder_decoder_attention/value/kernel",
    "decoder/block_000/layer_001/EncDecAttention/o": "decoder/layers_0/encoder_decoder_attention/out/kernel",
    "decoder/block_000/layer_001/rms_norm/scale": "decoder/layers_0/pre_cross_attention_layer_norm/scale",
    "decoder/block_000/layer_002/DenseReluDense/wi_0/kernel": "decoder/layers_0/mlp/wi_0/kernel",
    "decoder/block_000/layer_002/DenseReluDense/wi_1/kernel": "decoder/layers_0/mlp/wi_1/kernel",
    "decoder/block_000/layer_002/DenseReluDense/wo/kernel": "decoder/layers_0/mlp/wo/kernel",
    "decoder/block_000/layer_002/rms_norm/scale": "decoder/layers_0/pre_mlp_layer_norm/scale",
    "decoder/rms_norm/scale": "decoder/decoder_norm/scale",
    "decoder/logits/kernel": "decoder/logits_dense/kernel",
}
LAST_NORMS = {f"{stack}/rms_norm": f"{stack}/final_layer_norm" for stack in ("encoder", "decoder")}
OLDER_NORMS = {**LAST_NORMS, "rms_norm": "layer_norm"}


def older(name: str) -> str:
    """What a T5 1.0 has instead: the norms' first names, and one input of the MLP."""
    for later, first in OLDER_NORMS.items():
        name = name.replace(later, first)
    return name.replace("wi_0", "wi")


OLDER_NAMES = {older(mesh): older(own) for mesh, own in NAMES.items() if "wi_1" not in mesh and "logits" not in mesh}


def random_variables(names: dict[str, str], config: T5Config, dtype: str = "float32") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(config)
    return {mesh: rng.normal(size=shapes[own]).astype(dtype) for mesh, own in names.items()}


STATE = {"global_step": np.int64(7), "shared/embedding_slot_v": np.zeros(3, np.float32)}


def save(prefix: Path, variables: dict[str, np.ndarray]) -> Path:
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.constant(value) for value in variables.values()],
    )
    return prefix


def save_in_two_files(prefix: Path, variables: dict[str, np.ndarray]) -> Path:
    import tensorflow as tf

    names = list(variables)
    halves = [save(prefix.with_name(f"half-{i}"), {name: variables[name] for name in names[i::2]}) for i in range(2)]
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=[str(half) for half in halves], destination_prefix=str(prefix))
    return prefix


def error_of(path: Path, config: T5Config = TINY) -> str:
    with pytest.raises(UserError) as caught:
        mesh_tensorflow.read(path, config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_table_has_the_names_of_a_graph():
    assert NAMES.items() <= t5x_names(TINY).items() and set(NAMES.values()) == set(parameter_shapes(TINY))
    assert OLDER_NAMES.items() <= t5x_names(OLDER).items() and set(OLDER_NAMES.values()) == set(parameter_shapes(OLDER))
    later = t5x_names(dataclasses.replace(TINY, num_encoder_layers=12))
    assert later["encoder/block_011/layer_001/layer_norm/scale"] == "encoder/layers_11/pre_mlp_layer_norm/scale"


@pytest.mark.parametrize(
    "names, config, dtype",
    [(NAMES, TINY, "float32"), (OLDER_NAMES, OLDER, "float32"), (NAMES, TINY, "bfloat16")],
    ids=["T5 1.1", "T5 1.0", "bfloat16"],
)
def test_every_parameter_is_read_and_optimizer_state_passed_over(names, config, dtype, tmp_path):
    variables = random_variables(names, config, dtype)
    params = mesh_tensorflow.read(save(tmp_path / "model.ckpt-7", {**variables, **STATE}), config, dtype)
    assert params.keys() == parameter_shapes(config).keys()
    for mesh, values in variables.items():
        assert params[names[mesh]].dtype == dtype
        np.testing.assert_array_equal(params[names[mesh]], values, err_msg=mesh)


def test_layers_may_have_biases_of_their_own(tmp_path):
    config = dataclasses.replace(TINY, relative_bias_per_layer=True)
    params = mesh_tensorflow.read(save(tmp_path / "model.ckpt-7", random_variables(NAMES, TINY)), config)
    assert "encoder/layers_0/relpos_bias/rel_embedding" in params and params.keys() == parameter_shapes(config).keys()


@pytest.mark.parametrize("names, config", [(NAMES, TINY), (OLDER_NAMES, OLDER)], ids=["T5 1.1", "T5 1.0"])
def test_it_is_described_and_becomes_a_hugging_face_folder(names, config, ptune, tmp_path):
    variables = random_variables(names, config)
    save(tmp_path / "model.ckpt-7", {**variables, **STATE})
    found = json.loads(ptune("models", tmp_path, "--json")[1])
    assert (found["format"], found["parameters"]) == ("Mesh TensorFlow", parameter_count(config))
    assert (found["d_model"], found["encoder_layers"], found["folder"]) == (6, 1, str(tmp_path / "model.ckpt-7"))
    code, out, errors = ptune(*arguments(tmp_path, tmp_path / "new", config, "huggingface"))
    assert code == 0, errors
    assert (json.loads(out)["source_format"], json.loads(out)["dtype"]) == ("Mesh TensorFlow", "float32")
    found_config, params = huggingface.read(tmp_path / "new")
    assert found_config == config and params.keys() == parameter_shapes(config).keys()
    assert all(params[names[mesh]].tobytes() == values.tobytes() for mesh, values in variables.items())


def test_a_reader_may_ask_for_parts(tmp_path):
    variables = random_variables(NAMES, TINY)
    save(tmp_path / "model.ckpt-7", variables)
    params = mesh_tensorflow.read(tmp_path, TINY, put=lambda name, shape, read: (shape, read((slice(1, 2),)), read((slice(2),))))
    shape, second, first_two = params["token_embedder/embedding"]
    assert shape == (12, 6)
    np.testing.assert_array_equal(second, variables["shared/embedding"][1:2])
    np.testing.assert_array_equal(first_two, variables["shared/embedding"][:2])


def test_the_newest_step_of_a_folder_is_read(tmp_path):
    for step in (900, 1000):
        save(tmp_path / f"model.ckpt-{step}", random_variables(NAMES, TINY))
    assert mesh_tensorflow.find_prefix(tmp_path) == str(tmp_path / "model.ckpt-1000")
    assert mesh_tensorflow.find_prefix(tmp_path / "model.ckpt-900") == str(tmp_path / "model.ckpt-900")
    for path in (tmp_path, tmp_path / "model.ckpt-900"):
        assert mesh_tensorflow.is_mesh_tensorflow(path)


def test_other_folders_are_not_taken_for_one(tmp_path):
    for path in (tmp_path, tmp_path / "absent", ORACLE, ORACLE / "checkpoint_1000"):
        assert not mesh_tensorflow.is_mesh_tensorflow(path)


def test_a_folder_of_which_only_the_text_file_was_copied_is_told(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1000"\n')
    assert mesh_tensorflow.is_mesh_tensorflow(tmp_path)
    assert f"no model.ckpt-*.index in {tmp_path}; copy all files" in error_of(tmp_path)


def test_without_tensorflow_the_extra_that_brings_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "model.ckpt-7.index").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert "pip install 'ptune[tasks]'" in error_of(tmp_path)


def test_another_model_is_told_by_its_arrays(tmp_path):
    prefix = save(tmp_path / "model.ckpt-7", random_variables(NAMES, TINY))
    message = error_of(prefix, dataclasses.replace(TINY, vocab_size=13, num_encoder_layers=2))
    assert "2 of another shape" in message and "9 missing" in message and str(prefix) in message


def test_a_parameter_under_both_its_names_is_refused(tmp_path):
    variables = random_variables(NAMES, TINY)
    variables["encoder/final_layer_norm/scale"] = variables["encoder/rms_norm/scale"]
    message = error_of(save(tmp_path / "model.ckpt-7", variables))
    assert "encoder/encoder_norm/scale twice, as encoder/final_layer_norm/scale and encoder/rms_norm/scale" in message


def test_integers_and_values_that_are_not_finite_are_refused(tmp_path):
    variables = random_variables(NAMES, TINY)
    whole = save(tmp_path / "model.ckpt-1", {**variables, "shared/embedding": np.ones((12, 6), np.int32)})
    assert "shared/embedding" in error_of(whole) and "int32" in error_of(whole)
    variables["shared/embedding"][3, 2] = np.inf
    assert "shared/embedding" in error_of(save(tmp_path / "model.ckpt-2", variables))


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
def test_a_truncated_or_lost_file_is_one_line(suffix, tmp_path):
    prefix = save(tmp_path / "model.ckpt-7", random_variables(NAMES, TINY))
    file = tmp_path / f"model.ckpt-7.{suffix}"
    data = file.read_bytes()
    for size in (0, 1, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:size])
        assert f"cannot read {prefix}" in error_of(prefix)
    file.unlink()
    assert str(prefix) in error_of(prefix)


def test_a_checkpoint_in_several_files_needs_all_of_them(tmp_path):
    variables = random_variables(NAMES, TINY)
    prefix = save_in_two_files(tmp_path / "model.ckpt-7", variables)
    np.testing.assert_array_equal(mesh_tensorflow.read(prefix, TINY)["token_embedder/embedding"], variables["shared/embedding"])
    (tmp_path / "model.ckpt-7.data-00001-of-00002").unlink()
    assert f"cannot read {prefix}" in error_of(prefix)


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
def test_a_file_may_be_damaged_at_random(suffix, tmp_path):
    prefix = save(tmp_path / "model.ckpt-7", random_variables(NAMES, TINY))
    file = tmp_path / f"model.ckpt-7.{suffix}"
    data = file.read_bytes()

    @settings(max_examples=50, deadline=None, database=None, derandomize=True)
    @given(st.integers(0, len(data) - 1), st.integers(0, 30), st.binary(max_size=8))
    def read(place: int, length: int, piece: bytes) -> None:
        file.write_bytes(data[:place] + piece + data[place + length :])
        try:
            mesh_tensorflow.read(prefix, TINY)
        except UserError as error:
            assert str(error).isprintable()

    read()
