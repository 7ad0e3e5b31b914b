"""T5X checkpoints that ptune writes: read back bit by bit, and made of what T5X's own are made of."""

import base64
import dataclasses
import hashlib
import json
import resource
from contextlib import contextmanager
from pathlib import Path

import msgpack
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore as ts
from flax.traverse_util import flatten_dict

from ptune_cli.errors import UserError
from ptune_cli.formats import t5x
from ptune_cli.formats.t5x_places import Place
from ptune_cli.formats.t5x_store import Checkpoint
from ptune_cli.formats.t5x_writing import CHUNK_BYTES, LAYOUTS, chunk_shape, writing
from ptune_cli.t5.config import T5Config, parameter_shapes

ORACLES = Path(__file__).parent / "oracles" / "t5x_checkpoints"
TINY = T5Config(vocab_size=12, emb_dim=6, num_heads=2, head_dim=4, mlp_dim=10, num_encoder_layers=2, num_decoder_layers=1)
MODELS = {
    "T5 1.1": TINY,
    "T5 1.0": dataclasses.replace(TINY, mlp_activations=("relu",), logits_via_embedding=True),
    "a bias per layer": dataclasses.replace(TINY, relative_bias_per_layer=True),
}


def oracle(name: str = "legacy") -> tuple[Path, T5Config, dict]:
    meta = json.loads((ORACLES / name / "meta.json").read_text())
    sizes = {**meta["config"], "mlp_activations": tuple(meta["config"]["mlp_activations"])}
    return ORACLES / name / "ckpt" / "checkpoint_1000", T5Config(**sizes), meta["params"]


def random_params(config: T5Config = TINY, dtype: str = "float32") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in parameter_shapes(config).items()}


def write(folder: Path, params: dict[str, np.ndarray], layout: str, config: T5Config = TINY, **options) -> Path:
    dtype = params["token_embedder/embedding"].dtype.name
    with writing(folder, config, dtype, layout, **options) as put:
        for name, array in params.items():
            put(name, array.shape, array.__getitem__)
    return folder


def assert_equal(params: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert params.keys() == expected.keys()
    for name, array in expected.items():
        assert params[name].dtype == array.dtype
        np.testing.assert_array_equal(params[name], array, err_msg=name)


@pytest.mark.parametrize("model, dtype", [("T5 1.1", "float32"), ("T5 1.0", "bfloat16"), ("a bias per layer", "float32")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_back_bit_by_bit(layout, model, dtype, tmp_path):
    params = random_params(MODELS[model], dtype)
    folder = write(tmp_path / "checkpoint_7", params, layout, MODELS[model])
    assert_equal(t5x.read(folder, MODELS[model], dtype), params)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_checkpoint_streams_from_one_layout_into_another(layout, tmp_path):
    """Several threads of the reader give parameters at once."""
    folder, config, expected = oracle()
    with writing(tmp_path / "checkpoint_0", config, "float32", layout) as put:
        t5x.read(folder, config, "float32", put)
    written = t5x.read(tmp_path, config)
    assert {name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in written.items()} == {
        name: entry["sha256"] for name, entry in expected.items()
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_prompt_and_the_step_are_found_by_name(layout, tmp_path):
    prompt = np.arange(12, dtype=np.float32).reshape(2, 6)
    checkpoint = Checkpoint(str(write(tmp_path, random_params(dtype="bfloat16"), layout, prompt=prompt, step=70)))
    root = "optimizer/" if layout.startswith("legacy") else ""
    prompt_found, step = checkpoint.open([f"{root}target/encoder/prompt/prompt/prompt", f"{root}state/step"])
    np.testing.assert_array_equal(prompt_found.read(np.dtype(np.float32)), prompt)
    assert (prompt_found.dtype, step.dtype, step.shape) == ("float32", "int32", ())
    assert step.read(np.dtype(np.int32)) == 70
    assert_equal(t5x.read(tmp_path, TINY, "bfloat16"), random_params(dtype="bfloat16"))


def test_zeros_are_stored_too(tmp_path):
    """T5X, as ptune, takes a chunk that is not there for one that was lost."""
    params = {name: np.zeros_like(array) for name, array in random_params().items()}
    for layout in ("legacy", "orbax_scanned"):
        assert_equal(t5x.read(write(tmp_path / layout, params, layout), TINY), params)


@pytest.mark.parametrize("layout", ["legacy", "orbax_scanned"])
@pytest.mark.parametrize("times", [0, 2])
def test_a_parameter_that_comes_not_once_is_a_bug(layout, times, tmp_path):
    params = random_params()
    scale = params.pop("decoder/decoder_norm/scale")
    with (
        pytest.raises(ValueError, match=f"decoder/decoder_norm/scale': {times}"),
        writing(tmp_path, TINY, "float32", layout) as put,
    ):
        for name, array in params.items():
            put(name, array.shape, array.__getitem__)
        for _ in range(times):
            put("decoder/decoder_norm/scale", scale.shape, scale.__getitem__)
    assert not t5x.is_t5x(tmp_path)


@pytest.mark.parametrize("wrong", [np.zeros((6, 12), np.float32), np.zeros((12, 6), "bfloat16")], ids=["shape", "dtype"])
def test_a_parameter_of_another_shape_or_dtype_is_a_bug(wrong, tmp_path):
    with pytest.raises(ValueError, match="token_embedder/embedding"), writing(tmp_path, TINY, "float32", "legacy") as put:
        put("token_embedder/embedding", wrong.shape, wrong.__getitem__)


def test_what_a_reader_raises_comes_through_and_leaves_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match="^damaged$"), writing(tmp_path, TINY, "float32", "orbax"):
        raise UserError("damaged")
    assert not t5x.is_t5x(tmp_path)


@pytest.mark.parametrize("layout", ["legacy", "orbax"])
def test_a_folder_that_cannot_be_made_is_named(layout, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*file/checkpoint_0.*disk"):
        write(tmp_path / "file" / "checkpoint_0", random_params(), layout)


@contextmanager
def files_no_longer_than(size: int):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("layout", ["legacy", "orbax"])
def test_a_disk_that_takes_no_more_is_told_in_one_line(layout, tmp_path):
    params = random_params(dataclasses.replace(TINY, vocab_size=1000))
    with pytest.raises(UserError, match="cannot write") as caught, files_no_longer_than(10_000):
        write(tmp_path, params, layout, dataclasses.replace(TINY, vocab_size=1000))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    assert not t5x.is_t5x(tmp_path)


@pytest.mark.parametrize("shape", [(32128, 4096), (4096, 24, 64, 64), (24, 24, 1), (10007, 10007)])
def test_chunks_are_small_divide_their_array_and_hold_one_layer(shape):
    layers = (3,) if len(shape) > 2 else None
    chunk = chunk_shape(Place("name", shape, layers), 4)
    assert np.prod(chunk) * 4 <= CHUNK_BYTES
    assert all(size % part == 0 for size, part in zip(shape, chunk, strict=True))
    assert layers is None or chunk[1] == 1


def test_small_arrays_are_one_chunk():
    assert chunk_shape(Place("name", (512, 1024)), 4) == (512, 1024)


def leaves(folder: Path) -> dict[str, object]:
    tree = msgpack.unpackb((folder / "checkpoint").read_bytes(), strict_map_key=False)
    return flatten_dict(tree, sep="/", is_leaf=lambda _, node: "driver" in node)


def without_chunks(found: object) -> object:
    """What T5X chose by its number of devices, and ptune by layer and size, left out."""
    if isinstance(found, dict):
        return {key: without_chunks(value) for key, value in found.items() if key not in ("chunks", "write_shape", "chunk_shape")}
    return [without_chunks(value) for value in found] if isinstance(found, list) else found


def of_parameters(named: dict[str, object]) -> dict[str, object]:
    return {name: without_chunks(found) for name, found in named.items() if "param_states" not in name}


@pytest.fixture(params=[("legacy", "legacy"), ("legacy_scan", "legacy_scanned")], ids=lambda pair: pair[1])
def both(request, tmp_path) -> tuple[Path, Path]:
    """A checkpoint that T5X wrote, and one that ptune wrote of a model of the same sizes."""
    name, layout = request.param
    folder, config, _ = oracle(name)
    return folder, write(tmp_path / "checkpoint_1000", random_params(config), layout, config, step=1000)


def test_the_msgpack_is_as_t5x_writes_it(both):
    theirs, ours = both
    assert of_parameters(leaves(ours)) == of_parameters(leaves(theirs))
    assert list(leaves(ours)["version"].to_bytes()) == [3]


def test_the_zarr_folders_are_as_t5x_writes_them(both):
    theirs, ours = ({f.parent.name: json.loads(f.read_text()) for f in folder.glob("*/.zarray")} for folder in both)
    assert of_parameters(ours) == of_parameters(theirs)


@pytest.mark.parametrize("layout", ["legacy_scanned", "orbax"])
def test_bfloat16_is_stored_as_such(layout, tmp_path):
    """Version 2 of T5X's container had it as unsigned integers, which T5X reads no more."""
    folder = write(tmp_path / "checkpoint_0", random_params(dtype="bfloat16"), layout)
    zarray = "target.token_embedder.embedding/.zarray"
    stored = json.loads((folder / zarray).read_text()) if layout.startswith("legacy") else database(folder)[zarray]
    assert stored["dtype"] == "bfloat16"


def database(folder: Path) -> dict[str, object]:
    store = ts.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/state/"}).result()
    names = [name.decode() for name in store.list().result() if name.endswith(b".zarray")]
    return {name: json.loads(store.read(name).result().value) for name in names}


def test_orbax_files_are_as_t5x_writes_them(tmp_path):
    folder, config, _ = oracle("orbax")
    ours = write(tmp_path / "checkpoint_1000", random_params(config), "orbax", config, step=1000)
    assert of_parameters(database(ours)) == of_parameters(database(folder))

    def tree(folder: Path) -> dict:
        found = json.loads((folder / "state/_METADATA").read_text())
        return {**found, "tree_metadata": of_parameters(found["tree_metadata"])}

    def arrays(folder: Path) -> dict:
        found = json.loads((folder / "state/array_metadatas/process_0").read_text())["array_metadatas"]
        return of_parameters({array["array_metadata"]["param_name"]: array for array in found})

    def about(folder: Path) -> dict:
        found = json.loads((folder / "_CHECKPOINT_METADATA").read_text())
        found["item_handlers"].pop("dataset", None)  # the state of T5X's input
        return {key: type(value) if key.endswith("_nsecs") else value for key, value in found.items()}

    def shardings(folder: Path) -> dict:
        found = json.loads((folder / "state/_sharding").read_text())
        return of_parameters({base64.b64decode(name).decode(): set(json.loads(sharding)) for name, sharding in found.items()})

    for part in (tree, arrays, about, shardings):
        assert part(ours) == part(folder)
    for name in ("commit_success.txt", "state/commit_success.txt"):
        assert (ours / name).read_text() == (folder / name).read_text()


def test_orbax_itself_restores_what_is_written(tmp_path):
    params = random_params(dtype="bfloat16")
    write(tmp_path, params, "orbax", prompt=np.ones((2, 6)), step=3)
    with pytest.warns(UserWarning, match="sharding"):  # that it takes the file's
        restored = ocp.PyTreeCheckpointer().restore(tmp_path / "state")
    flat = flatten_dict(restored["target"], sep="/")
    assert int(restored["state"]["step"]) == 3
    assert np.array_equal(flat.pop("encoder/prompt/prompt/prompt"), np.ones((2, 6), np.float32))
    assert_equal({name: np.asarray(array) for name, array in flat.items()}, params)
