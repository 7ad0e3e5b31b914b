"""Prompt files: what is written is read back, the original code's files too, and hostile files are one line."""

import io
import json
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from ptune_cli.errors import UserError
from ptune_cli.formats import prompt
from ptune_cli.formats.prompt import PromptFile

ARRAY = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
METADATA = {
    "base_model": "tiny",
    "base_fingerprint": "ab" * 32,
    "vocabulary_sha256": "cd" * 32,
    "task": "gloss_topic",
    "length": 5,
    "placement": "prefix",
    "seed": 3,
    "step": 1200,
    "scores": {"validation": {"accuracy": 81.25}},
    "recipe": {"optimizer": "Adafactor", "learning_rate": [0.3, 0.1], "label": None},
    "ptune_version": "0.1.0",
}


def npy(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def error_of(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        prompt.read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def test_what_is_written_is_read_back(tmp_path):
    prompt.write(tmp_path / "new" / "folder", PromptFile(ARRAY, METADATA))
    for path in (tmp_path / "new" / "folder", tmp_path / "new" / "folder" / "prompt.safetensors"):
        read = prompt.read(path)
        assert read.array.dtype == np.float32
        np.testing.assert_array_equal(read.array, ARRAY)
        assert read.metadata == {**METADATA, "format": "ptune-prompt-1"}


def test_the_numpy_file_is_what_the_original_code_reads(tmp_path):
    prompt.write(tmp_path, PromptFile(ARRAY.astype(np.float64), METADATA))
    array = np.load(tmp_path / "prompt.npy", allow_pickle=False)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, ARRAY)
    assert prompt.read(tmp_path / "prompt.npy").metadata == {}


def test_writing_leaves_nothing_else_and_replaces_what_was_there(tmp_path):
    for array in (ARRAY, ARRAY + 1):
        prompt.write(tmp_path, PromptFile(array, METADATA))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["prompt.npy", "prompt.safetensors"]
    np.testing.assert_array_equal(prompt.read(tmp_path).array, ARRAY + 1)


def test_a_view_is_written_as_it_reads(tmp_path):
    prompt.write(tmp_path, PromptFile(np.asfortranarray(ARRAY), {}))
    np.testing.assert_array_equal(prompt.read(tmp_path).array, ARRAY)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", ">f4"])
def test_prompts_of_the_original_code_are_read_by_file_or_folder(dtype, tmp_path):
    file = tmp_path / "encoder.prompt.prompt.prompt"  # as its trainer names it, without a suffix
    file.write_bytes(npy(ARRAY.astype(dtype)))
    for path in (file, tmp_path):
        read = prompt.read(path)
        assert read.array.dtype == np.float32 and read.metadata == {}
        np.testing.assert_array_equal(read.array, ARRAY.astype(dtype).astype(np.float32))


def test_metadata_of_other_programs_is_kept(tmp_path):
    save_file({"prompt": ARRAY}, tmp_path / "prompt.safetensors", metadata={"author": "someone", "step": "7"})
    assert prompt.read(tmp_path).metadata == {"author": "someone", "step": 7}


@pytest.mark.parametrize("name", ["prompt.npy", "prompt.safetensors"])
def test_every_truncation_is_refused(name, tmp_path):
    prompt.write(tmp_path, PromptFile(ARRAY, METADATA))
    file = tmp_path / name
    data = file.read_bytes()
    for size in range(0, len(data), 7):
        file.write_bytes(data[:size])
        error_of(file)
    file.write_bytes(data + b"\0")
    error_of(file)


@pytest.mark.parametrize("name", ["prompt.npy", "prompt.safetensors"])
def test_random_damage_is_an_error_or_a_prompt_but_never_a_crash(name, tmp_path):
    prompt.write(tmp_path, PromptFile(ARRAY, METADATA))
    file, rng = tmp_path / name, np.random.default_rng(0)
    data = np.frombuffer(file.read_bytes(), np.uint8)
    for _ in range(300):
        damaged = data.copy()
        damaged[rng.integers(0, 130, 3)] = rng.integers(0, 256, 3)  # the header
        file.write_bytes(damaged.tobytes())
        try:
            prompt.read(file)
        except UserError as error:
            assert "\n" not in str(error)


def test_a_header_that_claims_more_than_the_file_is_refused_without_allocating(tmp_path):
    file = tmp_path / "prompt.npy"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 4096)}"
    file.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64))
    error_of(file)
    file = tmp_path / "prompt.safetensors"
    file.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    error_of(file)
    header = json.dumps({"prompt": {"dtype": "F32", "shape": [2**40, 2**12], "data_offsets": [0, 2**54]}}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    error_of(file)


@dataclass
class Bomb:
    path: str

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_a_pickle_is_never_loaded(tmp_path):
    bomb = Bomb(str(tmp_path / "loaded"))
    objects = np.empty((1, 1), object)
    objects[0, 0] = bomb
    for name, data in (("prompt.npy", npy(objects, allow_pickle=True)), ("prompt.pkl", pickle.dumps(bomb))):
        (tmp_path / name).write_bytes(data)
        error_of(tmp_path / name)
    assert not (tmp_path / "loaded").exists()


@pytest.mark.parametrize(
    "array, named",
    [
        (np.zeros(8, np.float32), "shape (8,)"),
        (np.zeros((1, 5, 8), np.float32), "shape (1, 5, 8)"),
        (np.zeros((0, 8), np.float32), "shape (0, 8)"),
        (np.zeros((5, 8), np.int64), "stored as int64"),
        (np.full((5, 8), np.nan, np.float32), "NaN"),
        (np.full((5, 8), 1e300), "infinite"),
    ],
)
@pytest.mark.parametrize("name", ["prompt.npy", "prompt.safetensors"])
def test_an_array_that_is_no_prompt_is_refused(array, named, name, tmp_path):
    if name == "prompt.npy":
        (tmp_path / name).write_bytes(npy(array))
    else:
        save_file({"prompt": array}, tmp_path / name)
    assert named in error_of(tmp_path / name)


def test_a_safetensors_file_of_something_else_is_refused(tmp_path):
    file = tmp_path / "prompt.safetensors"
    save_file({"shared.weight": ARRAY}, file)
    assert "shared.weight" in error_of(file)
    save_file({"prompt": ARRAY}, file, metadata={"format": "ptune-prompt-2"})
    assert "'ptune-prompt-2', expected 'ptune-prompt-1'" in error_of(file)


def test_a_missing_prompt_is_named(tmp_path):
    assert "prompt.safetensors" in error_of(tmp_path)
    error_of(tmp_path / "absent.npy")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        prompt.write(tmp_path / "file" / "prompts", PromptFile(ARRAY, METADATA))


def frozen(**changes) -> SimpleNamespace:
    """What `check` looks at in a loaded base model."""
    model = {"emb_dim": 8, "fingerprint": METADATA["base_fingerprint"], "sha256": METADATA["vocabulary_sha256"], **changes}
    vocabulary, config = SimpleNamespace(sha256=model["sha256"]), SimpleNamespace(emb_dim=model["emb_dim"])
    return SimpleNamespace(name="other", config=config, fingerprint=model["fingerprint"], vocabulary=vocabulary)


def test_a_prompt_fits_the_model_it_was_trained_on():
    prompt.check(PromptFile(ARRAY, METADATA), frozen())


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"emb_dim": 16}, ["8", "16"]),
        ({"fingerprint": "12" * 32}, ["ab" * 32, "12" * 32]),
        ({"sha256": "34" * 32}, ["cd" * 32, "34" * 32]),
    ],
)
def test_a_prompt_of_another_model_is_refused_and_both_are_named(changes, named):
    with pytest.raises(UserError) as caught:
        prompt.check(PromptFile(ARRAY, METADATA), frozen(**changes))
    assert all(value in str(caught.value) for value in [*named, "other", "tiny"])


def test_a_bare_array_is_checked_by_its_width_alone():
    prompt.check(PromptFile(ARRAY), frozen(fingerprint="12" * 32))
    with pytest.raises(UserError, match="width"):
        prompt.check(PromptFile(ARRAY), frozen(emb_dim=16))
