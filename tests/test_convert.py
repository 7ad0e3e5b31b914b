"""`ptune convert` of models: the same weights in another format, whole or not at all, and a map of what went where."""

import json
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import model_folder
import numpy as np
import pytest
from processes import python
from safetensors.numpy import load_file, save_file

from ptune_cli.base_model import BaseModel
from ptune_cli.commands import convert_verify
from ptune_cli.formats import checkpoint, huggingface_writing
from ptune_cli.t5.config import parameter_count, parameter_shapes
from ptune_cli.t5.fingerprint import fingerprint

CONFIG = model_folder.config(dropout_rate=0.1)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A tiny model as a Hugging Face folder, in float32."""
    return model_folder.write(tmp_path_factory.mktemp("source") / "model")


def weights(folder: Path, dtype: str = "float32") -> dict[str, np.ndarray]:
    return checkpoint.read(str(folder), CONFIG, dtype)


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].tobytes() == array.tobytes(), name


def converted(ptune, *arguments: object) -> dict:
    code, out, errors = ptune("convert", *arguments, "--json")
    assert code == 0, errors
    return json.loads(out)


def error_of(ptune, *arguments: object, code: int = 2) -> str:
    found, out, errors = ptune("convert", *arguments, "--json")
    assert (found, out) == (code, "") and errors.count("\n") == 1, errors
    return errors


def test_a_folder_is_written_again_bit_for_bit_with_its_vocabulary(source, ptune, tmp_path):
    done = converted(ptune, source, tmp_path / "copy", "--format", "huggingface")
    assert_same(weights(tmp_path / "copy"), weights(source))
    assert (done["dtype"], done["source_dtype"]) == ("float32", "float32")
    assert done["fingerprint"] == done["source_fingerprint"] == fingerprint(weights(source))
    assert done["parameters"] == parameter_count(CONFIG)
    assert done["bytes"] == sum(file.stat().st_size for file in (tmp_path / "copy").iterdir())
    assert BaseModel(checkpoint=str(tmp_path / "copy")).load().fingerprint == done["fingerprint"]


@pytest.mark.parametrize("dtype, same", [("bfloat16", True), ("float16", False)])
def test_numbers_are_rounded_as_numpy_does_and_both_fingerprints_are_told(dtype, same, source, ptune, tmp_path):
    done = converted(ptune, source, tmp_path / "half", "--format", "huggingface", "--dtype", dtype, "--verify")
    rounded = {name: array.astype(dtype) for name, array in weights(source).items()}
    assert_same(weights(tmp_path / "half", dtype), rounded)
    assert done["fingerprint"] == fingerprint(rounded) and done["source_fingerprint"] == fingerprint(weights(source))
    assert (done["fingerprint"] == done["source_fingerprint"]) is same  # a fingerprint is of bfloat16's digits
    assert done["largest_difference_of_logits"] == 0


def test_the_type_is_that_of_the_source_or_wide_enough_for_all_its_arrays(source, ptune, tmp_path):
    converted(ptune, source, tmp_path / "half", "--format", "huggingface", "--dtype", "bfloat16")
    assert converted(ptune, tmp_path / "half", tmp_path / "again", "--format", "huggingface")["dtype"] == "bfloat16"
    shutil.copytree(source, tmp_path / "mixed")
    tensors = load_file(tmp_path / "mixed" / "model.safetensors")
    tensors["shared.weight"] = tensors["shared.weight"].astype(np.float16)
    save_file(tensors, tmp_path / "mixed" / "model.safetensors")
    assert converted(ptune, tmp_path / "mixed", tmp_path / "wide", "--format", "huggingface")["dtype"] == "float32"
    assert_same(weights(tmp_path / "wide"), weights(tmp_path / "mixed"))


def test_a_number_too_large_for_the_type_is_named_and_nothing_is_left(source, ptune, tmp_path):
    large = {**weights(source), "encoder/encoder_norm/scale": np.full(CONFIG.emb_dim, 1e30, np.float32)}
    huggingface_writing.write(tmp_path / "large", CONFIG, large)
    shutil.copy(model_folder.VOCABULARY, tmp_path / "large" / "spiece.model")
    line = error_of(ptune, tmp_path / "large", tmp_path / "half", "--format", "huggingface", "--dtype", "float16")
    assert "array encoder/encoder_norm/scale" in line and "infinite values or NaN as float16" in line
    assert [path.name for path in tmp_path.iterdir()] == ["large"]


def test_the_map_has_a_line_for_all_layers_of_a_kind(ptune, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, errors = ptune("convert", "nano", tmp_path / "copy", "--format", "huggingface")
    assert (code, errors) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    name = "encoder.block.{0..1}.layer.0.SelfAttention.q.weight"
    assert [name, name, "[64,", "64]", "bfloat16"] in lines
    assert len(lines) < 40
    count = parameter_count(BaseModel(checkpoint="nano").sizes())
    assert f"{tmp_path / 'copy'} (Hugging Face, bfloat16): {count:,} parameters" in out
    assert ", as the source's\n" in out


def test_the_map_has_two_lines_where_the_terminal_is_narrow(ptune, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = ptune("convert", "nano", tmp_path / "copy", "--format", "huggingface", "--dtype", "float16")[1]
    assert re.search(r"\nfingerprint [0-9a-f]{64}, the source's is [0-9a-f]{64}: its bfloat16 was rounded\n", out)
    assert "\nencoder.final_layer_norm.weight\n    encoder.final_layer_norm.weight " in out


def test_all_arrays_are_in_the_json(source, ptune, tmp_path):
    arrays = converted(ptune, source, tmp_path / "copy", "--format", "huggingface")["arrays"]
    assert [array["name"] for array in arrays] == list(parameter_shapes(CONFIG))
    (query,) = [array for array in arrays if array["name"] == "encoder/layers_0/mlp/wo/kernel"]
    assert query["destination"] == "encoder.block.0.layer.1.DenseReluDense.wo.weight" and query["shape"] == [16, 32]


def test_what_cannot_be_done_is_one_line_and_makes_nothing(source, ptune, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    assert f"{tmp_path / 'there'} exists" in error_of(ptune, source, tmp_path / "there")
    assert f"{tmp_path / 'dangling'} exists" in error_of(ptune, source, tmp_path / "dangling")
    assert "cannot write to gs://bucket/model" in error_of(ptune, source, "gs://bucket/model")
    assert "did you mean 'tiny'?" in error_of(ptune, "tinny", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "there"]


def test_a_place_without_permission_is_one_line(source, ptune, tmp_path):
    (tmp_path / "file").write_text("")
    line = error_of(ptune, source, tmp_path / "file" / "model", "--format", "huggingface")
    assert f"cannot write {tmp_path / 'file' / 'model'}" in line


def test_other_logits_are_a_failure_and_nothing_is_left(source, ptune, tmp_path, monkeypatch):
    """Of weights that were changed on the disk between writing and verifying."""

    def changed(source, destination, *arguments, difference=convert_verify.difference):
        data = bytearray(Path(destination, "model.safetensors").read_bytes())
        data[-2:] = bytes(2)
        Path(destination, "model.safetensors").write_bytes(data)
        return difference(source, destination, *arguments)

    monkeypatch.setattr(convert_verify, "difference", changed)
    line = error_of(ptune, source, tmp_path / "copy", "--format", "huggingface", "--verify", code=1)
    assert "differ by" in line and "nothing is kept" in line
    assert not list(tmp_path.iterdir())


def test_a_vocabulary_that_is_not_there_is_told_and_left_out(source, ptune, tmp_path):
    shutil.copytree(source, tmp_path / "bare", ignore=shutil.ignore_patterns("*.model"))
    code, _, errors = ptune("convert", tmp_path / "bare", tmp_path / "copy", "--format", "huggingface")
    assert code == 0 and "the vocabulary is left out: no vocabulary at" in errors
    code, _, errors = ptune(
        "convert", tmp_path / "bare", tmp_path / "with", "--format", "huggingface", "--model.vocabulary", model_folder.VOCABULARY
    )
    assert (code, errors) == (0, "")
    assert (tmp_path / "with" / "spiece.model").read_bytes() == model_folder.VOCABULARY.read_bytes()


def test_a_vocabulary_of_another_model_is_refused(ptune, tmp_path):
    small = replace(CONFIG, vocab_size=8)
    huggingface_writing.write(tmp_path / "small", small, {n: np.ones(s, np.float32) for n, s in parameter_shapes(small).items()})
    line = (tmp_path / "small", tmp_path / "copy", "--format", "huggingface", "--model.vocabulary", model_folder.VOCABULARY)
    assert "ids, the model only 8 embeddings" in error_of(ptune, *line)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


@pytest.mark.parametrize("form", ["huggingface", "orbax"])
def test_killed_half_way_nothing_is_there_and_the_next_run_clears_what_is_left(form, source, ptune, tmp_path):
    program = """
        import os, signal, sys
        from ptune_cli import cli
        from ptune_cli.commands.convert_passage import Passage
        left, hand_on = 20, Passage.__call__
        def killed(*arguments):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            hand_on(*arguments)
        Passage.__call__ = killed
        cli.main(sys.argv[1:])
    """
    command = ("convert", source, tmp_path / "copy", "--format", form)
    with python(program, *command) as process:
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".copy.") and any(file.is_file() for file in left.rglob("*"))
    assert ptune(*command)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    assert_same(weights(tmp_path / "copy"), weights(source))
