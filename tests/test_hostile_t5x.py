"""Files of T5X checkpoints made to do harm, or damaged at random: one line to the user, little memory, no code run."""

import json
import shutil
import zlib
from pathlib import Path

import msgpack
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from hypothesis import given, settings
from hypothesis import strategies as st

from ptune_cli.errors import UserError
from ptune_cli.formats import t5x
from ptune_cli.formats.t5x_writing import writing
from ptune_cli.t5.config import T5Config, parameter_shapes

TINY = T5Config(vocab_size=12, emb_dim=6, num_heads=2, head_dim=4, mlp_dim=10, num_encoder_layers=1, num_decoder_layers=1)
EMBEDDING = "target.token_embedder.embedding"
SCALES = "target.encoder.encoder.pre_mlp_layer_norm.scale"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    """A checkpoint of each kind, to be copied and damaged: writing waits for the disk."""
    folders = {layout: tmp_path_factory.mktemp(layout) for layout in ("legacy_scanned", "orbax_scanned")}
    for layout, folder in folders.items():
        with writing(folder, TINY, "float32", layout) as put:
            for name, shape in parameter_shapes(TINY).items():
                put(name, shape, np.ones(shape, np.float32).__getitem__)
    return folders


@pytest.fixture
def legacy(written, tmp_path) -> Path:
    return Path(shutil.copytree(written["legacy_scanned"], tmp_path / "checkpoint_0"))


@pytest.fixture
def orbax(written, tmp_path) -> Path:
    return Path(shutil.copytree(written["orbax_scanned"], tmp_path / "checkpoint_0"))


def error_of(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        t5x.read(folder, TINY)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 2000
    return message


def change(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def change_leaf(folder: Path, leaf: object) -> None:
    """Puts something else in the msgpack in place of the reference to the embedding."""
    tree = msgpack.unpackb((folder / "checkpoint").read_bytes(), strict_map_key=False)
    leaves = flatten_dict(tree, is_leaf=lambda _, node: "driver" in node)
    changed = {**leaves, ("optimizer", *EMBEDDING.split(".")): leaf}
    (folder / "checkpoint").write_bytes(msgpack.packb(unflatten_dict(changed)))


def inline(shape: object, dtype: str, size: int) -> msgpack.ExtType:
    """An array within the msgpack, as Flax writes it."""
    return msgpack.ExtType(1, msgpack.packb((shape, dtype, bytes(size))))


@pytest.mark.parametrize("shape", [[12, 2**62], [2**40, 2**40], [10**12, 6], [-1, 6], [0, 6], [], [12] * 30])
def test_a_shape_that_is_only_claimed_is_not_believed(shape, legacy):
    change(legacy / EMBEDDING / ".zarray", shape=shape, chunks=[1] * len(shape))
    assert "embedding" in error_of(legacy)


def test_a_stack_of_more_layers_than_any_model_has_is_no_stack(legacy):
    change(legacy / SCALES / ".zarray", shape=[6, 10**9], chunks=[6, 1])
    assert "unexpected: encoder/encoder/pre_mlp_layer_norm/scale" in error_of(legacy)
    assert len(t5x.stored_arrays(legacy)) < 100


def test_a_chunk_larger_than_its_array_is_not_allocated(legacy):
    """TensorStore would ask for 40 GB before it looks at the file, and take the process with it."""
    change(legacy / EMBEDDING / ".zarray", chunks=[10**5, 10**5])
    assert "chunks [100000, 100000] in the shape [12, 6]" in error_of(legacy)


def gzip_bomb(size: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(compressor.compress(bytes(2**20)) for _ in range(size // 2**20)) + compressor.flush()


def zstd_bomb(size: int) -> bytes:
    """A frame of blocks that each repeat one byte: 4 bytes for 128 KiB."""
    block = (1 << 1 | 2**17 << 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x58" + block * (size // 2**17 - 1) + (1 | 1 << 1 | 2**17 << 3).to_bytes(3, "little") + b"\0"


@pytest.mark.parametrize("compressor, bomb", [("gzip", gzip_bomb), ("zstd", zstd_bomb)])
def test_a_chunk_that_unpacks_to_too_much_is_not_unpacked(compressor, bomb, legacy):
    change(legacy / EMBEDDING / ".zarray", compressor={"id": compressor, "level": 1})
    (legacy / EMBEDDING / "0.0").write_bytes(bomb(2**26))
    assert "at uncompressed byte 288;" in error_of(legacy)  # what [12, 6] in float32 takes


@pytest.mark.parametrize(
    "leaf",
    [
        inline([12, 6], "object", 576),
        inline([10**9, 6], "float32", 288),
        inline([12, 6], "V4", 288),
        inline([12, 6], "f4,f4", 576),
        inline([12, 6], "complex64", 576),
        inline([12, 6], "nonsense", 288),
        inline("shape", "float32", 288),
        msgpack.ExtType(99, b"code"),
        {"__msgpack_chunked_array__": True, "shape": {"0": 10**9, "1": 6}, "chunks": {"0": inline([72], "float32", 288)}},
        {"__msgpack_chunked_array__": True, "shape": 5, "chunks": 7},
        {"__msgpack_chunked_array__": True},
        {"driver": "zarr", "kvstore": {"path": 5}},
        {"driver": "zarr", "kvstore": [1]},
        {"driver": "zarr"},
    ],
    ids=repr,
)
def test_a_leaf_that_is_no_array_of_numbers_is_one_line(leaf, legacy):
    change_leaf(legacy, leaf)
    error_of(legacy)


@pytest.mark.parametrize("path", ["../elsewhere", "a/../../elsewhere", "/etc/", "a\0b", "a\nb", "a" * 5000])
def test_an_array_lies_in_a_folder_of_the_checkpoint(path, legacy, tmp_path):
    shutil.copytree(legacy / EMBEDDING, tmp_path / "elsewhere")
    for leaf in ({"driver": "zarr", "kvstore": {"driver": "file", "path": path}}, f"PLACEHOLDER://{path}"):
        change_leaf(legacy, leaf)
        assert f"cannot read {legacy}/checkpoint" in error_of(legacy)


@pytest.mark.parametrize("key", ["token\\ud800", "token\\n\\u001b[31m", "token\\u0000", "../token", "x" * 5000])
def test_a_name_in_orbax_metadata_that_cannot_be_shown_or_opened_is_refused(key, orbax):
    file = orbax / "state" / "_METADATA"
    file.write_text(file.read_text().replace('"key": "token_embedder"', f'"key": "{key}"'))
    assert str(orbax) in error_of(orbax)


@pytest.mark.parametrize(
    "data", [b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\x81\xa1a" * 10**5, b"\x01", b"\x80", b"\xc1"]
)
def test_a_msgpack_that_claims_more_than_it_holds_is_one_line(data, legacy):
    (legacy / "checkpoint").write_bytes(data)
    assert str(legacy) in error_of(legacy)


@pytest.mark.parametrize(
    "data", ["[" * 10**5, "{}", "[]", "null", '{"tree_metadata": 5}', '{"tree_metadata": {"a": {}}}', "\x80"]
)
def test_orbax_metadata_of_another_structure_is_one_line(data, orbax):
    (orbax / "state" / "_METADATA").write_text(data, "latin-1")
    assert f"cannot read {orbax}/state/_METADATA" in error_of(orbax)


@pytest.mark.parametrize(
    "changes", [{"filters": [{"id": "pickle"}]}, {"dtype": "|O"}, {"compressor": {"id": "pickle"}}, {"zarr_format": 9}], ids=repr
)
def test_a_zarr_array_that_asks_for_code_is_refused(changes, legacy):
    change(legacy / EMBEDDING / ".zarray", **changes)
    assert "embedding" in error_of(legacy)


def mutations(data: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with a few changed, cut out or put in."""
    place = st.integers(0, len(data))
    piece = st.sampled_from([b"", b"9", b"99999999", b"-", b"../", b"[", b"\xff\xff\xff\xff", b"\x00"]) | st.binary(max_size=8)
    edit = st.tuples(place, st.integers(0, 30), piece)
    return st.lists(edit, min_size=1, max_size=4).map(lambda edits: mutated(data, edits))


def mutated(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, piece in edits:
        data = data[:place] + piece + data[place + length :]
    return data


@pytest.mark.parametrize(
    "container, pattern",
    [
        ("legacy", "checkpoint"),
        ("legacy", f"{EMBEDDING}/.zarray"),
        ("legacy", f"{SCALES}/0.0"),
        ("orbax", "state/_METADATA"),
        ("orbax", "state/manifest.ocdbt"),
        ("orbax", "state/d/*"),
    ],
)
def test_any_file_may_be_damaged_at_random(container, pattern, request):
    folder = request.getfixturevalue(container)
    file = max(folder.glob(pattern), key=lambda f: f.stat().st_mtime_ns)
    data = file.read_bytes()

    @settings(max_examples=50, deadline=None, database=None, derandomize=True)
    @given(mutations(data))
    def read(damaged: bytes) -> None:
        file.write_bytes(damaged)
        try:
            assert t5x.read(folder, TINY).keys() == parameter_shapes(TINY).keys()
        except UserError as error:
            assert str(error).isprintable()

    read()
