"""`ptune convert` between T5X's formats and Hugging Face's: there and back bit for bit, read by `transformers`, with a prompt."""

import dataclasses
import json
import re
from pathlib import Path

import huggingface_families
import numpy as np
import pytest
from huggingface_families import ids_and_targets, transformers_logits

from ptune_cli import config
from ptune_cli.commands.convert import Convert
from ptune_cli.formats import checkpoint, huggingface, prompt, t5x
from ptune_cli.formats.prompt import PromptFile
from ptune_cli.formats.t5x_store import Checkpoint
from ptune_cli.formats.t5x_writing import PROMPT
from ptune_cli.t5.config import T5Config

ORACLES = Path(__file__).parent / "oracles"
LOGITS = json.loads((ORACLES / "huggingface" / "logits.json").read_text())
THERE = {"T5 1.0": "t5x", "T5 1.1": "t5x_scanned", "mT5": "orbax", "ByT5": "orbax_scanned", "umT5": "t5x"}
T5X = ("legacy", "legacy_scan", "legacy_gcs_gzip", "orbax")


def sizes(folder: Path, of: T5Config) -> Path:
    """A gin file as those in gin/models."""
    lines = ["from __gin__ import dynamic_registration", "from ptune_cli import base_model", "from ptune_cli.t5 import config"]
    lines += ["base_model.BaseModel.config = @config.T5Config()", "base_model.BaseModel.weights_dtype = 'bfloat16'"]
    lines += [f"config.T5Config.{name} = {value!r}" for name, value in dataclasses.asdict(of).items() if name != "operands"]
    (folder / "sizes.gin").write_text("\n".join(lines))
    return folder / "sizes.gin"


def converted(ptune, *arguments: object) -> dict:
    code, out, errors = ptune("convert", *arguments, "--json")
    assert code == 0, errors
    return json.loads(out)


def error_of(ptune, *arguments: object) -> str:
    code, out, errors = ptune("convert", *arguments, "--json")
    assert (code, out) == (2, "") and errors.count("\n") == 1, errors
    return errors


def there_and_back(ptune, folder: Path, family: str) -> tuple[dict, dict]:
    """A family's folder through T5X's format to `back`; what the two conversions say."""
    of = huggingface_families.write(folder / "theirs", family)
    there = converted(ptune, folder / "theirs", folder / "there", "--format", THERE[family])
    return there, converted(ptune, folder / "there", folder / "back", "--gin", sizes(folder, of))


@pytest.mark.parametrize("family", THERE)
def test_through_t5xs_format_and_back_a_model_is_the_same_bit_for_bit(family, ptune, tmp_path):
    there, back = there_and_back(ptune, tmp_path, family)
    of, params = huggingface.read(tmp_path / "theirs")
    found_of, found = huggingface.read(tmp_path / "back")
    assert found_of == of and found.keys() == params.keys()
    assert all(found[name].tobytes() == array.tobytes() for name, array in params.items())
    assert len({there["fingerprint"], there["source_fingerprint"], back["fingerprint"], back["source_fingerprint"]}) == 1
    assert (there["source_format"], back["format"], back["dtype"]) == ("Hugging Face", "Hugging Face", "float32")


@pytest.mark.parametrize("family", THERE)
def test_transformers_computes_the_same_logits_from_what_came_back(family, ptune, tmp_path):
    pytest.importorskip("torch", reason="torch is not among the test requirements")
    pytest.importorskip("transformers", reason="transformers is not among the test requirements")
    there_and_back(ptune, tmp_path, family)
    of, _ = huggingface.read(tmp_path / "back")
    logits = transformers_logits(tmp_path / "back", *ids_and_targets(of.vocab_size))
    np.testing.assert_allclose(logits[..., :8], LOGITS[family], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", T5X)
def test_what_t5x_itself_wrote_becomes_a_hugging_face_folder(name, ptune, tmp_path):
    meta = json.loads((ORACLES / "t5x_checkpoints" / name / "meta.json").read_text())["config"]
    of = T5Config(**{**meta, "mlp_activations": tuple(meta["mlp_activations"])})
    source = ORACLES / "t5x_checkpoints" / name / "ckpt"
    if name == "legacy_scan":  # its layers have biases of their own
        of = dataclasses.replace(of, relative_bias_per_layer=True)
    done = converted(ptune, source, tmp_path / "model", "--gin", sizes(tmp_path, of), *(["--verify"] if name == "orbax" else []))
    found, expected = huggingface.read(tmp_path / "model", done["dtype"])[1], t5x.read(source, of, done["dtype"])
    assert found.keys() == expected.keys()
    assert all(found[name].tobytes() == array.tobytes() for name, array in expected.items())
    assert (done["source_format"], done["source_fingerprint"]) == ("T5X", done["fingerprint"])
    assert done["largest_difference_of_logits"] in (None, 0)


def test_the_gin_file_of_a_model_says_all_that_is_needed():
    flags = {"source": "gs://bucket/checkpoint_1100000", "destination": "model"}
    resolved = config.resolve(Convert, ["models/t5_1_1_base.gin"], [], flags)
    assert not resolved.unused
    assert (resolved.object.source, resolved.object.dtype) == (flags["source"], None)
    assert resolved.object.model.config.num_heads == 12


def test_sizes_that_are_missing_are_asked_for(ptune, tmp_path):
    source = ORACLES / "t5x_checkpoints" / "legacy" / "ckpt"
    assert "no T5 sizes were given; include a gin/models file" in error_of(ptune, source, tmp_path / "model")
    assert "are not this model's" in error_of(ptune, source, tmp_path / "model", "--gin", "models/t5_1_1_small.gin")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def tuned(tmp_path) -> PromptFile:
    """A prompt [3, 8] in `prompt`, beside a T5 1.1 in `model`."""
    huggingface_families.write(tmp_path / "model", "T5 1.1")
    found = PromptFile(np.arange(24, dtype=np.float32).reshape(3, 8))
    prompt.write(tmp_path / "prompt", found)
    return found


@pytest.mark.parametrize("form, root", [("t5x", "optimizer/"), ("orbax_scanned", "")])
def test_a_prompt_goes_into_a_t5x_checkpoint_which_has_the_step_of_its_name(form, root, tuned, ptune, tmp_path):
    new = tmp_path / "checkpoint_900"
    converted(ptune, tmp_path / "model", new, "--format", form, "--prompt", tmp_path / "prompt", "--dtype", "bfloat16")
    stored, step = Checkpoint(str(new)).open([f"{root}{PROMPT}", f"{root}state/step"])
    assert stored.dtype == np.float32 and step.read(np.dtype(np.int32)) == 900
    np.testing.assert_array_equal(stored.read(stored.dtype), tuned.array)


def test_a_prompt_that_does_not_belong_to_the_model_is_refused(tuned, ptune, tmp_path):
    line = (tmp_path / "model", tmp_path / "new", "--prompt", tmp_path / "prompt")
    assert "Hugging Face holds no prompt" in error_of(ptune, *line, "--format", "huggingface")
    prompt.write(tmp_path / "prompt", PromptFile(tuned.array, {"base_fingerprint": "f00", "base_model": "another"}))
    assert "model of fingerprint f00" in error_of(ptune, *line)
    prompt.write(tmp_path / "prompt", PromptFile(np.ones((3, 6), np.float32)))
    assert re.search("width is 6, expected 8", error_of(ptune, *line))
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob(".new*"))


def test_a_prompt_as_the_source_is_converted_as_one(tuned, ptune, tmp_path):
    for source in ("prompt", "prompt/prompt.npy"):
        done = converted(ptune, tmp_path / source, tmp_path / f"{Path(source).name}.npy")
        assert (done["format"], done["length"], done["width"]) == ("npy", 3, 8)
        np.testing.assert_array_equal(np.load(tmp_path / f"{Path(source).name}.npy"), tuned.array)


def test_flags_of_models_are_not_for_prompts_and_the_other_way_round(tuned, ptune, tmp_path):
    assert "--verify is not for a prompt" in error_of(ptune, tmp_path / "prompt", tmp_path / "new.npy", "--verify")
    assert "--base is not for a model" in error_of(ptune, tmp_path / "model", tmp_path / "new", "--base", "tiny")
    assert "cannot be written as peft" in error_of(ptune, tmp_path / "model", tmp_path / "new", "--format", "peft")


def test_a_folder_of_t5x_checkpoints_with_prompts_beside_them_is_a_model(ptune, tmp_path):
    of = huggingface_families.write(tmp_path / "model", "T5 1.1")
    converted(ptune, tmp_path / "model", tmp_path / "run" / "checkpoint_7")
    beside = tmp_path / "run" / "numpy_checkpoints" / "checkpoint_7" / "encoder.prompt.prompt.prompt"
    beside.parent.mkdir(parents=True)
    beside.write_bytes(b"not looked at")
    converted(ptune, tmp_path / "run", tmp_path / "back", "--gin", sizes(tmp_path, of))
    assert checkpoint.sizes(str(tmp_path / "back")) == of
