"""PyTorch's files are read without torch, a part at a time, and nothing that they ask for is run."""

import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch_files
from huggingface_families import random_params

from ptune_cli.errors import UserError
from ptune_cli.formats import huggingface, huggingface_writing, torch_file
from ptune_cli.formats.huggingface_config import read_config

ORACLES = Path(__file__).parent / "oracles" / "huggingface"  # written by torch: see make.py there
NUMBERS = np.arange(24, dtype=np.float32).reshape(4, 6)
ODD = {
    "turned": NUMBERS.T,
    "rows": NUMBERS[1:3],
    "columns": NUMBERS[:, 1:6:2],
    "parameter": NUMBERS[0],
    "float64": NUMBERS.astype(np.float64),
    "bfloat16": NUMBERS.astype(ml_dtypes.bfloat16),
    "scalar": NUMBERS[2, 3],
    "empty": np.zeros((0, 6), np.float32),
    "whole": np.arange(3),
}


def read(file: Path) -> dict[str, np.ndarray]:
    return {name: part(()) for name, _, part in torch_file.tensors(file)}


@pytest.mark.parametrize("name", ["odd.bin", "odd_protocol_4.bin"])
def test_every_kind_of_tensor_that_torch_saves_is_read(name):
    found = read(ORACLES / name)
    assert found.keys() == ODD.keys()
    for key, expected in ODD.items():
        assert found[key].dtype == expected.dtype and found[key].shape == expected.shape
        np.testing.assert_array_equal(found[key], expected, err_msg=key)


def test_a_part_of_a_tensor_is_that_part():
    (part,) = [part for name, _, part in torch_file.tensors(ORACLES / "odd.bin") if name == "columns"]
    np.testing.assert_array_equal(part((slice(1, 3), slice(2, 3))), ODD["columns"][1:3, 2:3])


def test_one_part_takes_no_more_memory_than_it_holds(tmp_path):
    torch_files.write(tmp_path / "model.bin", {"large": np.zeros((2**20, 8), np.float32), "small": np.ones(3, np.float32)})
    tracemalloc.start()
    try:
        parts = {name: part for name, _, part in torch_file.tensors(tmp_path / "model.bin")}
        assert parts["large"]((slice(5, 6), slice(None))).shape == (1, 8)
        np.testing.assert_array_equal(parts["small"](()), np.ones(3))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["torch", "torch_sharded"])
def test_a_model_that_torch_saved_in_one_file_or_in_several_is_read_bit_for_bit(name):
    config, params = huggingface.read(ORACLES / name, "float16")
    expected = random_params(config, np.float16)
    assert config.logits_via_embedding and params.keys() == expected.keys()
    for own, array in expected.items():
        assert params[own].dtype == np.float16
        np.testing.assert_array_equal(params[own], array, err_msg=own)


def test_safetensors_come_before_torch_files(tmp_path):
    config = read_config(ORACLES / "torch" / "config.json")
    huggingface_writing.write(tmp_path, config, random_params(config))
    (tmp_path / "pytorch_model.bin").write_bytes(b"not looked at")
    (tmp_path / "pytorch_model.bin.index.json").write_bytes(b"not looked at")
    np.testing.assert_array_equal(
        huggingface.read(tmp_path)[1]["token_embedder/embedding"], random_params(config)["token_embedder/embedding"]
    )


def test_the_format_of_torch_before_1_6_is_refused_with_the_way_to_convert_it():
    with pytest.raises(
        UserError, match=r"legacy.bin is of the format that torch wrote before 1.6.*torch.save\(torch.load"
    ) as caught:
        read(ORACLES / "legacy.bin")
    assert "\n" not in str(caught.value)


def test_our_writer_of_torch_files_is_read_by_torch(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not among the test requirements")
    arrays = {"a": NUMBERS, "b": NUMBERS[:2].astype(np.float64), "c": NUMBERS[0].astype(np.float16)}
    torch_files.write(tmp_path / "model.bin", arrays)
    theirs = torch.load(tmp_path / "model.bin", weights_only=True)
    assert theirs.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(theirs[name].numpy(), array)
