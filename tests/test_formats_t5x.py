"""T5X checkpoints: all containers and layouts come out as the same flat parameters, and faults as one line."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore as ts
from flax.serialization import msgpack_serialize
from flax.traverse_util import flatten_dict, unflatten_dict

from ptune_cli.errors import UserError
from ptune_cli.formats import t5x
from ptune_cli.formats.t5x_store import Checkpoint
from ptune_cli.t5.config import T5Config, parameter_shapes

ORACLES = Path(__file__).parent / "oracles" / "t5x_checkpoints"
TINY = T5Config(vocab_size=12, emb_dim=6, num_heads=2, head_dim=4, mlp_dim=10, num_encoder_layers=2, num_decoder_layers=3)
EMBEDDING = "token_embedder/embedding"


def oracle(name: str) -> tuple[Path, T5Config, dict]:
    meta = json.loads((ORACLES / name / "meta.json").read_text())
    sizes = {**meta["config"], "mlp_activations": tuple(meta["config"]["mlp_activations"])}
    return ORACLES / name / "ckpt" / "checkpoint_1000", T5Config(**sizes), meta["params"]


@pytest.fixture
def legacy(tmp_path) -> tuple[Path, T5Config]:
    """A copy of a T5X checkpoint, to be damaged."""
    folder, config, _ = oracle("legacy")
    return Path(shutil.copytree(folder, tmp_path / "checkpoint_1000")), config


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def random_params(config: T5Config = TINY) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in parameter_shapes(config).items()}


def save(folder: Path, params: dict[str, Any], root: str = "optimizer/target/") -> Path:
    """A checkpoint with every array in its msgpack file."""
    tree = unflatten_dict({f"{root}{name}": array for name, array in params.items()}, sep="/")
    folder.mkdir(exist_ok=True)
    (folder / "checkpoint").write_bytes(msgpack_serialize({"version": 3, **tree}))
    return folder


def save_leaves(folder: Path, change) -> None:
    """Replaces each TensorStore spec in the msgpack file by what `change` makes of it."""
    tree = msgpack.unpackb((folder / "checkpoint").read_bytes(), strict_map_key=False)
    leaves = flatten_dict(tree, is_leaf=lambda _, node: "driver" in node)
    tree = unflatten_dict({keys: change(leaf) if isinstance(leaf, dict) else leaf for keys, leaf in leaves.items()})
    (folder / "checkpoint").write_bytes(msgpack.Packer().pack(tree))


def error_of(path: Path, config: T5Config) -> str:
    with pytest.raises(UserError) as caught:
        t5x.read(path, config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_equal(params: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert params.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(params[name], array, err_msg=name)


@pytest.mark.parametrize("name", ["legacy", "legacy_gcs_gzip", "orbax"])
def test_every_parameter_is_what_t5x_saved(name):
    folder, config, expected = oracle(name)
    params = t5x.read(folder, config)
    assert {name: sha256(array) for name, array in params.items()} == {name: e["sha256"] for name, e in expected.items()}


def test_a_scanned_stack_is_taken_apart_by_layer(tmp_path):
    folder, config, expected = oracle("legacy_scan")
    folder = Path(shutil.copytree(folder, tmp_path / "checkpoint_1000"))
    for stack in ("encoder", "decoder"):
        name = f"{stack}.{stack}.relpos_bias.rel_embedding"
        kvstore = {"driver": "file", "path": f"{folder}/target.{name}/"}
        biases = ts.open({"driver": "zarr", "kvstore": kvstore}).result()
        assert sha256(biases.read().result()) == expected.pop(name.replace(".", "/"))["sha256"]
        biases[:, 1] = biases[:, 0].read().result()

    params = t5x.read(folder, config)

    assert params.keys() == parameter_shapes(config).keys()
    for name, array in expected.items():
        if match := re.fullmatch(r"(encoder|decoder)/\1/(.*)", name):
            layers = [params[f"{match[1]}/layers_{i}/{match[2]}"] for i in range(2)]
            stacked = np.stack(layers, axis=1)
            if name.endswith("out/kernel"):  # [heads * head_dim, L, D]: the stacking came between heads and head_dim
                stacked = np.stack([layer.reshape(4, 8, 16) for layer in layers], axis=1)
            assert sha256(stacked) == array["sha256"], name
        else:
            assert sha256(params[name]) == array["sha256"], name


def test_layers_with_different_position_biases_are_refused():
    folder, config, _ = oracle("legacy_scan")
    message = error_of(folder, config)
    assert "different relative position biases" in message and str(folder) in message


def scanned(params: dict[str, np.ndarray], split_heads: bool) -> dict[str, np.ndarray]:
    """The parameters with the layers of each stack on axis 1, as flaxformer, or T5X with split heads, stacks them."""
    stacks: dict[str, list[np.ndarray]] = {}
    for name, array in params.items():
        name = re.sub(r"^(encoder|decoder)/(layers_\d+|(?=relpos_bias))", r"\1/\1/", name).replace("//", "/")
        stacks.setdefault(name, []).append(split(name, array) if split_heads else array)
    depth = {"encoder": TINY.num_encoder_layers, "decoder": TINY.num_decoder_layers}
    return {
        name: np.stack(arrays * depth[name.split("/")[0]] if "relpos" in name else arrays, axis=1)
        if re.match(r"(encoder|decoder)/\1/", name)
        else arrays[0]
        for name, arrays in stacks.items()
    }


def split(name: str, array: np.ndarray) -> np.ndarray:
    if re.search(r"attention/(query|key|value)/kernel$", name):
        return array.reshape(-1, TINY.num_heads, TINY.head_dim)
    return array.reshape(TINY.num_heads, TINY.head_dim, -1) if name.endswith("attention/out/kernel") else array


def fused(params: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    fused = {name: array for name, array in params.items() if "/wi_" not in name}
    for name, array in params.items():
        if name.endswith("wi_0/kernel"):
            both = np.stack([array, params[name.replace("wi_0", "wi_1")]], axis=1)
            fused[name.replace("wi_0", "wi_fused")] = both
    return fused


@pytest.mark.parametrize(
    "layout",
    [
        lambda params: scanned(params, split_heads=False),
        lambda params: scanned(params, split_heads=True),
        lambda params: {name: split(name, array) for name, array in params.items()},
        fused,
        lambda params: scanned(fused(params), split_heads=True),
    ],
    ids=["scanned", "scanned, split heads", "split heads", "fused", "scanned, fused, split heads"],
)
def test_every_layout_of_the_tree_is_the_same_model(layout, tmp_path):
    params = random_params()
    assert_equal(t5x.read(save(tmp_path, layout(params)), TINY), params)


@pytest.mark.parametrize("root", ["optimizer/target/", "target/", "params/", "params/params/", ""])
def test_the_parameters_are_found_under_any_root(root, tmp_path):
    params = random_params()
    assert_equal(t5x.read(save(tmp_path, params, root), TINY), params)


def test_a_leaf_may_be_a_placeholder_of_the_first_orbax(legacy):
    folder, config = legacy
    save_leaves(folder, lambda spec: "PLACEHOLDER://" + spec["kvstore"]["path"].rstrip("/"))
    assert_equal(t5x.read(folder, config), t5x.read(*oracle("legacy")[:2]))


def test_a_spec_of_an_early_tensorstore_has_its_path_outside(legacy):
    folder, config = legacy
    save_leaves(folder, lambda spec: {"driver": "zarr", "kvstore": {"driver": "gfile"}, "path": spec["kvstore"]["path"]})
    assert_equal(t5x.read(folder, config), t5x.read(*oracle("legacy")[:2]))


def test_an_array_outside_the_checkpoint_is_refused(legacy):
    folder, config = legacy
    save_leaves(folder, lambda spec: {**spec, "kvstore": {"driver": "file", "path": "../elsewhere"}})
    assert "../elsewhere is outside the checkpoint" in error_of(folder, config)


def test_an_array_may_be_in_chunks_within_the_msgpack_file(tmp_path):
    params = random_params()
    halves = np.split(params[EMBEDDING].ravel(), 2)
    chunked = {"__msgpack_chunked_array__": True, "shape": {"0": 12, "1": 6}, "chunks": {"0": halves[0], "1": halves[1]}}
    assert_equal(t5x.read(save(tmp_path, {**params, EMBEDDING: chunked}), TINY), params)


@pytest.mark.parametrize("ocdbt, zarr3", [(True, True), (False, False), (False, True)])
def test_orbax_may_write_folders_or_a_database_and_either_zarr(ocdbt, zarr3, tmp_path):
    params = random_params()
    tree = {"target": unflatten_dict(params, sep="/"), "state": {"step": 3, "param_states": {}, "none": None}}
    ocp.PyTreeCheckpointer(use_ocdbt=ocdbt, use_zarr3=zarr3).save(tmp_path / "checkpoint_3" / "state", tree)
    assert_equal(t5x.read(tmp_path, TINY), params)


def test_bfloat16_is_read_as_it_was_saved(tmp_path):
    params = {name: array.astype("bfloat16") for name, array in random_params().items()}
    read = t5x.read(save(tmp_path, params), TINY, dtype="bfloat16")
    assert all(array.dtype == "bfloat16" for array in read.values())
    assert_equal(read, params)


@pytest.mark.parametrize("name", ["legacy", "orbax"])
def test_reading_as_bfloat16_rounds_as_numpy_does(name):
    folder, config, _ = oracle(name)
    rounded = {name: array.astype("bfloat16") for name, array in t5x.read(folder, config).items()}
    assert_equal(t5x.read(folder, config, dtype="bfloat16"), rounded)


def test_an_unknown_dtype_is_refused():
    with pytest.raises(UserError, match="did you mean 'float32'"):
        t5x.read(*oracle("legacy")[:2], dtype="float23")


def test_prompts_in_the_checkpoint_are_passed_over(tmp_path):
    params, prompt = random_params(), np.zeros((3, 6), np.float32)
    prompts = {f"{place}/prompt/prompt/prompt": prompt for place in ("encoder", "decoder", "encoder/layers_0")}
    assert_equal(t5x.read(save(tmp_path, {**params, **prompts}), TINY), params)


def test_missing_unexpected_and_misshaped_arrays_are_all_named_in_one_line(tmp_path):
    params = random_params()
    del params["encoder/encoder_norm/scale"]
    params["encoder/layers_0/attention/key/bias"] = np.zeros(8, np.float32)
    params[EMBEDDING] = np.zeros((13, 6), np.float32)
    message = error_of(save(tmp_path, params), TINY)
    assert "1 missing: encoder/encoder_norm/scale" in message
    assert "1 unexpected: encoder/layers_0/attention/key/bias" in message
    assert f"1 of another shape: {EMBEDDING} (13, 6), expected (12, 6)" in message
    assert str(tmp_path) in message


def test_a_long_list_of_faults_is_cut(tmp_path):
    message = error_of(save(tmp_path, {EMBEDDING: random_params()[EMBEDDING]}), TINY)
    faults = len(parameter_shapes(TINY)) - 1
    assert f"{faults} missing: " in message and message.count("/scale") <= 5 and f"and {faults - 5} more" in message


def test_the_same_parameter_in_two_layouts_is_refused(tmp_path):
    params = random_params()
    assert "twice" in error_of(save(tmp_path, {**params, **scanned(params, split_heads=False)}), TINY)


def test_bfloat16_stored_as_uint16_is_refused(tmp_path):
    params = {**random_params(), EMBEDDING: np.zeros((12, 6), np.uint16)}
    message = error_of(save(tmp_path, params), TINY)
    assert EMBEDDING in message and "uint16" in message and "bfloat16" in message


def test_a_value_that_is_not_finite_is_refused(tmp_path):
    params = random_params()
    params[EMBEDDING][3, 2] = np.nan
    assert f"{EMBEDDING} of {tmp_path} holds infinite values or NaN" in error_of(save(tmp_path, params), TINY)


@pytest.mark.parametrize("size", [0, 1, 100, 5000, 25000])
def test_a_truncated_msgpack_file_is_named(size, legacy):
    folder, config = legacy
    data = (folder / "checkpoint").read_bytes()
    (folder / "checkpoint").write_bytes(data[:size])
    assert f"cannot read {folder}/checkpoint" in error_of(folder, config)


def test_a_damaged_chunk_is_named(legacy):
    folder, config = legacy
    chunk = folder / "target.token_embedder.embedding" / "1.0"
    chunk.write_bytes(chunk.read_bytes()[:100])
    message = error_of(folder, config)
    assert str(chunk) in message and EMBEDDING in message


def test_a_chunk_that_was_never_copied_is_not_zeros(legacy):
    folder, config = legacy
    chunk = folder / "target.token_embedder.embedding" / "1.0"
    chunk.unlink()
    assert str(chunk) in error_of(folder, config)


def test_a_missing_array_folder_is_named(legacy):
    folder, config = legacy
    shutil.rmtree(folder / "target.token_embedder.embedding")
    assert str(folder / "target.token_embedder.embedding") in error_of(folder, config)


@pytest.mark.parametrize("pattern", ["_METADATA", "manifest.ocdbt", "d/*"])
def test_a_truncated_orbax_file_is_named(pattern, tmp_path):
    folder, config, _ = oracle("orbax")
    folder = Path(shutil.copytree(folder, tmp_path / "checkpoint_1000"))
    (file,) = (folder / "state").glob(pattern)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert str(file) in error_of(folder, config)


def test_a_tensorflow_checkpoint_is_told_apart(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1000"\n')
    assert "TensorFlow" in error_of(tmp_path, TINY)


def test_the_newest_complete_step_is_found(tmp_path):
    for step in ("checkpoint_900", "checkpoint_1000", "checkpoint_2000.tmp-17", "numpy_checkpoints"):
        save(tmp_path / step, {})
    (tmp_path / "checkpoint_3000").mkdir()  # its copy has not begun
    assert t5x.find_step(tmp_path) == str(tmp_path / "checkpoint_1000")
    assert t5x.find_step(tmp_path / "checkpoint_900") == str(tmp_path / "checkpoint_900")


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    assert not t5x.is_t5x(tmp_path) and not t5x.is_t5x(tmp_path / "absent")
    assert str(tmp_path) in error_of(tmp_path, TINY)
    assert str(tmp_path / "absent") in error_of(tmp_path / "absent", TINY)


@pytest.mark.parametrize("name", ["legacy", "orbax"])
def test_a_t5x_folder_is_recognised(name):
    folder, _, _ = oracle(name)
    assert t5x.is_t5x(folder) and t5x.is_t5x(folder.parent)


def test_opening_a_checkpoint_reads_no_values(legacy):
    folder, config = legacy
    for chunk in folder.glob("target.*/[0-9]*"):
        chunk.unlink()
    names = [f"optimizer/target/{name}" for name in parameter_shapes(config)]
    shapes = [stored.shape for stored in Checkpoint(str(folder)).open(names)]
    assert shapes == list(parameter_shapes(config).values())
