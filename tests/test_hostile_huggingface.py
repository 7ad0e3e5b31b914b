"""Damaged and hostile files of a Hugging Face folder are one line each: nothing is run, nothing allocated on their word."""

import json
import os
import pickle
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch_files
from difficult_texts import TEXTS
from huggingface_families import random_params, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.formats import huggingface, torch_file, vocabulary_file
from ptune_cli.formats.huggingface_names import huggingface_name, is_transposed
from ptune_cli.t5.config import parameter_shapes

ORACLES = Path(__file__).parent / "oracles" / "huggingface"
TINY = Path(__file__).parent / "data" / "tiny.spiece.model"
WEIGHTS, INDEX, TORCH, TORCH_INDEX = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, np.float16)}


@pytest.fixture
def folder(tmp_path) -> Path:
    write(tmp_path, "T5 1.1")
    return tmp_path


def error_of(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        huggingface.read(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1500
    return str(caught.value)


def error_of_torch(file: Path, pickled: bytes | None = None, **options) -> str:
    if pickled is not None or options:
        torch_files.write(file, ARRAYS, pickled, **options)
    with pytest.raises(UserError) as caught:
        for _, _, part in torch_file.tensors(file):
            part(())
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    return str(caught.value)


def stored(config) -> dict[str, np.ndarray]:
    params = random_params(config)
    return {huggingface_name(n): np.ascontiguousarray(p.T if is_transposed(n) else p) for n, p in params.items()}


# Each pickle asks for something to be called.
CALLS = {
    "posix.system": b"cposix\nsystem\n" + torch_files.text("touch ran") + b"\x85R",
    "builtins.eval": b"cbuiltins\neval\n" + torch_files.text("open('ran', 'w')") + b"\x85R",
    "torch.load": b"ctorch\nload\n" + torch_files.text("ran") + b"\x85R",
    "os.system": torch_files.text("os") + torch_files.text("system") + b"\x93" + torch_files.text("touch ran") + b"\x85R",
    "torch._utils._rebuild_tensor_v2.__globals__": b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n",
    "the operation INST": b"(" + torch_files.text("touch ran") + b"iposix\nsystem\n",
    "the operation NEWOBJ": b"ccollections\nOrderedDict\n)\x81",
    "the operation EXT1": b"\x82\x01",
    "the operation BYTEARRAY8": b"\x96" + struct.pack("<Q", 0),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_a_pickle_asks_for_is_named_and_not_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = error_of_torch(tmp_path / "model.bin", torch_files.dictionary({"a": CALLS[name]}))
    assert f"asks for {name}, which a model's weights do not need" in message
    assert not (tmp_path / "ran").exists()


def test_a_pickle_of_an_object_that_runs_code_is_refused(tmp_path, monkeypatch):
    class Payload:
        def __reduce__(self):
            return os.mkdir, ("ran",)

    monkeypatch.chdir(tmp_path)
    assert "asks for posix.mkdir" in error_of_torch(tmp_path / "model.bin", pickle.dumps({"a": Payload()}, protocol=2))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "operations, named",
    [
        (torch_files.tensor("0", "FloatStorage", 6, 4, (3,), (1,)), "a tensor beyond its storage"),
        (torch_files.tensor("0", "FloatStorage", 6, 0, (2, 3), (4, 1)), "a tensor beyond its storage"),
        (torch_files.tensor("0", "FloatStorage", 6, 0, (2**40, 1), (0, 0)), "a tensor beyond its storage"),
        (torch_files.tensor("0", "FloatStorage", 6, -1, (2, 3), (3, 1)), "a tensor of impossible shape"),
        (torch_files.tensor("0", "FloatStorage", 6, 0, (-2, -3), (3, 1)), "a tensor of impossible shape"),
        (torch_files.tensor("0", "FloatStorage", 6, 0, (2, 3), (3,)), "a tensor of impossible shape"),
        (torch_files.tensor("0", "FloatStorage", 6, 0, (1,) * 1000, (1,) * 1000), "a tensor of impossible shape"),
        (torch_files.tensor("0", "FloatStorage", 2**60, 0, (2**60,), (1,)), "storage 0 has 24 bytes, expected"),
        (torch_files.tensor("0", "DoubleStorage", 6, 0, (2, 3), (3, 1)), "storage 0 has 24 bytes, expected 6 of float64"),
        (torch_files.tensor("../../0", "FloatStorage", 6, 0, (2, 3), (3, 1)), "archive/data/../../0"),
        (torch_files.text("no tensor"), "something else than a dict of tensors"),
        (b"r\xff\xff\xff\xff" + torch_files.text("aside"), "cannot read"),
        (b"X\xff\xff\xff\xff", "cannot read"),
        (b"\x8d" + b"\xff" * 8, "cannot read"),
        (b"h\x07", "cannot read"),
        (b"t", "cannot read"),
    ],
)
def test_a_pickle_that_lies_is_one_line(operations, named, tmp_path):
    assert named in error_of_torch(tmp_path / "model.bin", torch_files.dictionary({"a": operations}))


def rezip(file: Path, change) -> None:
    """The members of a file, each put through `change(name, content)`, which gives the names and contents to write."""
    with zipfile.ZipFile(file) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (pair for member in members for pair in change(*member)):
            archive.writestr(name, content)


def test_zip_bombs_are_refused(tmp_path, recwarn):
    file = tmp_path / "model.bin"
    assert "is compressed or encrypted" in error_of_torch(file, compression=zipfile.ZIP_DEFLATED)
    torch_files.write(file, ARRAYS)
    rezip(file, lambda name, content: [(name, content)] * 2 if name.endswith("data/0") else [(name, content)])
    assert "two members of one name" in error_of_torch(file)
    torch_files.write(file, ARRAYS)
    rezip(file, lambda name, content: [(name, b"K." + bytes(2**22)) if name.endswith("pkl") else (name, content)])
    assert "a pickle of more than" in error_of_torch(file)
    torch_files.write(file, ARRAYS)
    rezip(file, lambda name, content: [(name, b"big") if name.endswith("byteorder") else (name, content)])
    assert "big-endian" in error_of_torch(file)
    rezip(file, lambda name, content: [(name.replace("archive/", "archive/in/"), content)])
    assert "not one that torch.save wrote" in error_of_torch(file)


def test_very_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_file, "MEMBERS", 3)
    torch_files.write(tmp_path / "model.bin", ARRAYS)
    assert "5 members, expected no more than 3" in error_of_torch(tmp_path / "model.bin")


def test_sizes_larger_than_the_file_are_refused(tmp_path):
    torch_files.write(tmp_path / "model.bin", ARRAYS)
    content = (tmp_path / "model.bin").read_bytes()
    sizes = struct.pack("<II", 24, 24)  # of the first storage, compressed or not, in the list at the end
    at = content.rindex(sizes)
    (tmp_path / "model.bin").write_bytes(content[:at] + struct.pack("<II", 2**31, 2**31) + content[at + 8 :])
    assert "is longer than the file" in error_of_torch(tmp_path / "model.bin")


def indexed(folder: Path, shards: dict[str, list[str]], weight_map: dict[str, str]) -> None:
    """The tensors of a folder's model in shards, under an index."""
    tensors = load_file(folder / WEIGHTS)
    for file, names in shards.items():
        save_file({name: tensors[name] for name in names}, folder / file)
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", "sub/a.safetensors", "..", "", "a\\b", "a\0b"])
@pytest.mark.parametrize("index", [INDEX, TORCH_INDEX])
def test_an_index_cannot_name_a_file_elsewhere(index, shard, folder):
    (folder / WEIGHTS).unlink()
    (folder / index).write_text(json.dumps({"weight_map": {"shared.weight": shard}}))
    assert f"{index} names {shard!r}, expected the name of a file in its folder" in error_of(folder)


def test_an_index_and_its_files_that_contradict_each_other_are_told(folder):
    names = sorted(load_file(folder / WEIGHTS))
    whole = {name: "a.safetensors" if name in names[:9] else "b.safetensors" for name in names}
    indexed(folder, {"a.safetensors": names[:9], "b.safetensors": names[9:]}, whole)
    assert len(huggingface.read(folder)[1]) == len(names)
    (folder / INDEX).write_text(json.dumps({"weight_map": {**whole, names[0]: "b.safetensors"}}))
    assert f"has tensor {names[0]} in b.safetensors, which it is not in" in error_of(folder)
    (folder / INDEX).write_text(json.dumps({"weight_map": {**whole, "more": "c.safetensors"}}))
    assert f"cannot read {folder}/c.safetensors: {INDEX} names it" in error_of(folder)
    shutil.copy(folder / "a.safetensors", folder / "c.safetensors")
    assert f"tensor {names[0]} is in {folder}/a.safetensors and in {folder}/c.safetensors" in error_of(folder)


INDEXES = ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": ["b"]}}', "[" * 100_000, "\udce9"]


@pytest.mark.parametrize("content", INDEXES)
def test_an_index_that_is_none_is_named(content, folder):
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_bytes(content.encode(errors="surrogateescape"))
    assert str(folder / INDEX) in error_of(folder)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, '{"model_type": ' + "9" * 5000 + "}"])
def test_a_config_that_nests_or_counts_without_end_is_named(content, folder):
    (folder / "config.json").write_text(content)
    assert str(folder / "config.json") in error_of(folder)


def test_a_header_that_claims_more_than_the_file_holds_is_refused(folder):
    header = json.dumps({"shared.weight": {"dtype": "F32", "shape": [2**40, 8], "data_offsets": [0, 2**45]}}).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header)
    assert f"cannot read {folder / WEIGHTS}" in error_of(folder)


TOKENIZERS = ["", "{", "[]", "{}", '{"model": 3}', '{"model": {"unk_id": 2, "vocab": 7}}', "[" * 100_000]


@pytest.mark.parametrize("content", TOKENIZERS)
def test_a_tokenizer_json_that_is_none_is_named(content, tmp_path):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match=f"{tmp_path}/tokenizer.json") as caught:
        vocabulary_file.find(str(tmp_path), tmp_path)
    assert "\n" not in str(caught.value)


# Bytes of a real small file are changed, or cut off.
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4)
FUZZ = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def changed(content: bytes, changes, cut: float) -> bytes:
    made = bytearray(content)
    for at, value in changes:
        made[int(at * (len(made) - 1))] = value
    return bytes(made[: int(len(made) * cut)])


def model(folder: Path, file: str) -> None:
    """A model of which `file` is a part, and which is read through it."""
    config = write(folder, "T5 1.1", num_layers=1, num_decoder_layers=1, vocab_size=8)
    if file in (TORCH, TORCH_INDEX):
        (folder / WEIGHTS).unlink()
        torch_files.write(folder / TORCH, stored(config))
    if file == TORCH_INDEX:
        (folder / TORCH).rename(folder / "a.bin")
        (folder / TORCH_INDEX).write_text(json.dumps({"weight_map": {name: "a.bin" for name in stored(config)}}))
    if file == INDEX:
        names = load_file(folder / WEIGHTS)
        indexed(folder, {"a.safetensors": list(names)}, dict.fromkeys(names, "a.safetensors"))
    assert len(huggingface.read(folder)[1]) == len(parameter_shapes(config))


@pytest.mark.parametrize("file", ["config.json", WEIGHTS, INDEX, TORCH, TORCH_INDEX])
def test_a_changed_file_is_read_or_refused_in_one_line(file, tmp_path):
    model(tmp_path, file)
    content = (tmp_path / file).read_bytes()

    @FUZZ
    @given(CHANGES, st.sampled_from([1.0, 1.0, 0.99, 0.5, 0.01]))
    def check(changes, cut):
        (tmp_path / file).write_bytes(changed(content, changes, cut))
        try:
            huggingface.read(tmp_path)
        except UserError as error:
            assert "\n" not in str(error)

    check()


@pytest.mark.parametrize("file", [TINY, ORACLES / "tokenizer" / "spiece.model", ORACLES / "tokenizer" / "tokenizer.json"])
def test_a_changed_vocabulary_is_read_or_refused_in_one_line(file, tmp_path):
    content, place = file.read_bytes(), tmp_path / ("tokenizer.json" if file.suffix == ".json" else "spiece.model")

    @FUZZ
    @given(CHANGES, st.sampled_from([1.0, 1.0, 0.99, 0.5, 0.01]))
    def check(changes, cut):
        place.write_bytes(changed(content, changes, cut))
        try:
            found = Vocabulary(vocabulary_file.find(str(tmp_path), tmp_path / "cache"))
            for text in TEXTS:
                found.decode(found.encode(text))
        except UserError as error:
            assert "\n" not in str(error)

    check()


def test_a_changed_pickle_is_read_or_refused_in_one_line(tmp_path):
    """Inside a file whose checksums are right."""
    pickled = torch_files.pickled(ARRAYS)

    @FUZZ
    @given(CHANGES, st.sampled_from([1.0, 1.0, 0.99, 0.5, 0.01]))
    def check(changes, cut):
        torch_files.write(tmp_path / "model.bin", ARRAYS, changed(pickled, changes, cut))
        try:
            for _, view, part in torch_file.tensors(tmp_path / "model.bin"):
                assert part(()).shape == view.shape
        except UserError as error:
            assert "\n" not in str(error)

    check()
