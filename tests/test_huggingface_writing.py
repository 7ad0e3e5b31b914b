"""What is written as a Hugging Face folder: bit for bit what came, in any order and any number of files, whole or not at all."""

import json
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import huggingface_families
import numpy as np
import pytest
from safetensors import safe_open

from ptune_cli.errors import UserError
from ptune_cli.formats import blocks, huggingface, huggingface_writing, safetensors_writing
from ptune_cli.formats.huggingface_writing import tensors
from ptune_cli.t5.config import T5Config, parameter_count, parameter_shapes

T5_1_1 = T5Config(vocab_size=20, emb_dim=12, num_heads=2, head_dim=4, mlp_dim=10, num_encoder_layers=2, num_decoder_layers=3)
T5_1_0 = replace(T5_1_1, mlp_activations=("relu",), logits_via_embedding=True)
DTYPES = ("float32", "float16", "bfloat16")


def random_params(config: T5Config, dtype: str = "float32") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in parameter_shapes(config).items()}


def assert_read(folder: Path, config: T5Config, params: dict[str, np.ndarray]) -> None:
    dtype = params["token_embedder/embedding"].dtype.name
    found_config, found = huggingface.read(folder, dtype)
    assert found_config == config and found.keys() == params.keys()
    for name, array in params.items():
        assert found[name].dtype == array.dtype and found[name].tobytes() == array.tobytes(), name


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a row or two, so that these arrays are of many."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 100)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("config", [T5_1_1, T5_1_0], ids=["1.1", "1.0"])
def test_what_comes_in_blocks_in_any_order_from_several_threads_is_read_back_bit_for_bit(config, dtype, small_blocks, tmp_path):
    params = random_params(config, dtype)
    with huggingface_writing.writing(tmp_path, config, dtype) as put, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: put(name, params[name].shape, params[name].__getitem__), reversed(params)))
    assert_read(tmp_path, config, params)


def test_no_more_than_a_block_is_asked_for(small_blocks, tmp_path):
    params, most = random_params(T5_1_1), 0

    def reading(array):
        def read(index):
            nonlocal most
            most = max(most, array[index].nbytes)
            return array[index]

        return read

    with huggingface_writing.writing(tmp_path, T5_1_1, "float32") as put:
        for name, array in params.items():
            put(name, array.shape, reading(array))
    assert 0 < most <= 100
    assert_read(tmp_path, T5_1_1, params)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_file_is_one_that_safetensors_opens(dtype, tmp_path):
    huggingface_writing.write(tmp_path, T5_1_1, random_params(T5_1_1, dtype))
    with safe_open(tmp_path / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}
        found = {name: file.get_slice(name) for name in file.keys()}
        assert {name: tuple(part.get_shape()) for name, part in found.items()} == dict(tensors(T5_1_1).values())
        assert {part.get_dtype() for part in found.values()} == {safetensors_writing.NAMES[dtype]}
    assert int.from_bytes((tmp_path / "model.safetensors").read_bytes()[:8], "little") % 8 == 0
    mode = stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "config.json").stat().st_mode)


def test_a_large_model_is_in_several_files_with_an_index(tmp_path):
    params, room = random_params(T5_1_1), 3_000
    with huggingface_writing.writing(tmp_path, T5_1_1, "float32", room) as put:
        for name, array in params.items():
            put(name, array.shape, array.__getitem__)
    assert_read(tmp_path, T5_1_1, params)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert [file.name for file in files] == [f"model-{i:05d}-of-{len(files):05d}.safetensors" for i in range(1, len(files) + 1)]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    count = parameter_count(T5_1_1)
    assert index["metadata"] == {"total_parameters": count, "total_size": 4 * count}
    for file in files:
        with safe_open(file, "numpy") as opened:
            assert set(opened.keys()) == {name for name, place in index["weight_map"].items() if place == file.name}
            assert file.stat().st_size < room + 2_000  # the header
    assert len(files) > 2


def test_transformers_reads_a_model_in_several_files(tmp_path):
    pytest.importorskip("torch", reason="torch is not among the test requirements")
    pytest.importorskip("transformers", reason="transformers is not among the test requirements")
    params, ids = huggingface_families.random_params(T5_1_1), huggingface_families.ids_and_targets()
    huggingface_writing.write(tmp_path / "one", T5_1_1, params)
    with huggingface_writing.writing(tmp_path / "several", T5_1_1, "float32", 3_000) as put:
        for name, array in params.items():
            put(name, array.shape, array.__getitem__)
    one, several = (huggingface_families.transformers_logits(tmp_path / name, *ids) for name in ("one", "several"))
    np.testing.assert_array_equal(several, one)


def test_a_tensor_larger_than_a_file_may_be_is_in_one_of_its_own(tmp_path):
    params = random_params(T5_1_1)
    with huggingface_writing.writing(tmp_path, T5_1_1, "float32", 1) as put:
        for name, array in params.items():
            put(name, array.shape, array.__getitem__)
    assert len(list(tmp_path.glob("*.safetensors"))) == len(params)
    assert_read(tmp_path, T5_1_1, params)


@pytest.mark.parametrize("change", ["missing", "unknown", "misshaped"])
def test_parameters_of_another_model_leave_nothing(change, tmp_path):
    params = random_params(T5_1_1)
    if change == "missing":
        del params["encoder/encoder_norm/scale"]
    elif change == "unknown":
        params["encoder/other/scale"] = np.ones(3, np.float32)
    else:
        params["encoder/encoder_norm/scale"] = np.ones(3, np.float32)
    with pytest.raises(UserError, match="encoder_norm/scale|encoder/other/scale"):
        huggingface_writing.write(tmp_path / "model", T5_1_1, params)
    assert not list((tmp_path / "model").iterdir())


def test_a_model_that_hugging_face_does_not_have_is_refused(tmp_path):
    config = replace(T5_1_1, mlp_activations=("gelu",))
    with pytest.raises(UserError, match="Hugging Face's T5 has no MLP"):
        huggingface_writing.write(tmp_path / "model", config, random_params(config))
    assert not (tmp_path / "model").exists()


def test_a_full_disk_is_one_line_and_leaves_no_file(tmp_path):
    program = """
        import resource, sys, numpy as np
        from ptune_cli.formats import huggingface_writing
        from ptune_cli.t5.config import T5Config, parameter_shapes
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))  # a file that cannot grow: what a full disk looks like
        c = T5Config(vocab_size=99, emb_dim=16, num_heads=2, head_dim=4, mlp_dim=9, num_encoder_layers=1, num_decoder_layers=1)
        huggingface_writing.write(sys.argv[1], c, {n: np.ones(s, np.float32) for n, s in parameter_shapes(c).items()})
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"UserError: cannot write {tmp_path / 'model.safetensors'}: File too large; check the disk's free space" in done.stderr
    assert not list(tmp_path.iterdir())
