"""A prompt from one format to another: not a bit changes, what is known is kept where there is room, and faults are one line."""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import model_folder
import numpy as np
import pytest

from ptune_cli import shipped
from ptune_cli.commands.convert_prompt import convert_prompt, sentence
from ptune_cli.commands.prompt_writing import FORMATS
from ptune_cli.errors import UserError
from ptune_cli.formats import original_prompt, peft, prompt
from ptune_cli.formats.prompt import PromptFile

ARRAY = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
METADATA = {
    "base_model": "somewhere/t5",
    "base_fingerprint": "ab" * 32,
    "task": "kinds",
    "seed": 3,
    "step": 7,
    "placement": "prefix",
}
KEEPING = ("ptune", "peft")


@pytest.fixture
def source(tmp_path) -> Path:
    prompt.write(tmp_path / "source", PromptFile(ARRAY, METADATA))
    return tmp_path / "source"


def error_of(source: Path, destination: Path, format: str | None = None, base: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        convert_prompt(source, destination, format, base)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in destination.parent.glob(f".{destination.name}*")) == []
    return str(caught.value)


@pytest.mark.parametrize(("there", "back"), product(FORMATS, FORMATS))
def test_a_round_trip_changes_no_bit_and_keeps_what_the_formats_have_room_for(there, back, source, tmp_path):
    done = convert_prompt(source, tmp_path / "there", there, None)
    again = convert_prompt(tmp_path / "there", tmp_path / "back", back, None)
    assert (done["source_format"], done["format"], again["source_format"], again["format"]) == ("ptune", there, there, back)
    found = prompt.read(tmp_path / "back")
    assert found.array.tobytes() == ARRAY.tobytes()
    kept = {**METADATA, "format": prompt.FORMAT} if there in KEEPING and back in KEEPING else {}
    assert {**found.metadata, "format": prompt.FORMAT} == {**kept, "format": prompt.FORMAT}


def test_a_destinations_name_tells_its_format(source, tmp_path):
    names = {"a.npy": "npy", "b.safetensors": "ptune", f"c/{original_prompt.NAME}": "original"}
    for name, format in names.items():
        assert convert_prompt(source, tmp_path / name, None, None)["format"] == format
        assert (tmp_path / name).is_file()
        assert prompt.read(tmp_path / name).array.tobytes() == ARRAY.tobytes()
    assert "give --format (ptune, npy, original, peft)" in error_of(source, tmp_path / "folder")
    assert "did you mean 'peft'?" in error_of(source, tmp_path / "folder", "pefr")


def test_the_original_codes_folder_is_laid_out_as_its_trainer_does_and_its_file_is_what_it_loads(source, tmp_path):
    convert_prompt(source, tmp_path / "model", "original", None)
    [file] = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert file == tmp_path / "model" / "numpy_checkpoints" / "checkpoint_7" / "encoder.prompt.prompt.prompt"
    with open(file, "rb") as opened:
        array = np.load(opened, allow_pickle=False)
    assert (array.dtype.str, array.flags.c_contiguous) == ("<f4", True)
    np.testing.assert_array_equal(array, ARRAY)


@pytest.mark.parametrize("step", ["../../elsewhere", -1, 1.5, None, [3]])
def test_a_step_that_is_no_number_leads_nowhere(step, tmp_path):
    prompt.write(tmp_path / "source", PromptFile(ARRAY, {**METADATA, "step": step}))
    convert_prompt(tmp_path / "source", tmp_path / "model", "original", None)
    assert (tmp_path / "model" / "numpy_checkpoints" / "checkpoint_0" / original_prompt.NAME).is_file()


def test_a_run_with_one_prompt_is_that_prompt_and_one_with_several_has_to_be_asked_for_one(source, tmp_path):
    (tmp_path / "run" / "prompts").mkdir(parents=True)
    source.rename(tmp_path / "run" / "prompts" / "only-0")
    assert convert_prompt(tmp_path / "run", tmp_path / "a.npy", None, None)["source"].endswith("only-0/prompt.safetensors")
    prompt.write(tmp_path / "run" / "prompts" / "other-0", PromptFile(ARRAY))
    assert "has 2 prompts; name one, such as" in error_of(tmp_path / "run", tmp_path / "b.npy")
    assert "no run or prompt at" in error_of(tmp_path / "rnu", tmp_path / "b.npy")


@pytest.mark.parametrize("format", FORMATS)
def test_what_exists_is_left_alone(format, source, tmp_path):
    (tmp_path / "there").write_text("mine")
    assert "there exists" in error_of(source, tmp_path / "there", format)
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_that_cannot_be_written_is_one_line(format, source, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot write" in error_of(source, tmp_path / "file" / "there", format)


def test_a_process_that_is_killed_leaves_nothing_at_the_destination(source, tmp_path):
    code = """
        import os, signal, sys
        from pathlib import Path
        from ptune_cli.commands import convert_prompt as command
        from ptune_cli.formats import peft

        write = peft.write_atomically
        def stop(path, data):
            if path.name == peft.CONFIG:
                os.kill(os.getpid(), signal.SIGKILL)
            write(path, data)

        peft.write_atomically = stop
        command.convert_prompt(Path(sys.argv[1]), Path(sys.argv[2]), "peft", None)
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", lines, source, tmp_path / "adapter"], env=environment, capture_output=True)
    assert done.returncode == -9 and not (tmp_path / "adapter").exists()
    assert len(list(tmp_path.glob(".adapter.*"))) == 1
    convert_prompt(source, tmp_path / "adapter", "peft", None)
    assert prompt.read(tmp_path / "adapter").array.tobytes() == ARRAY.tobytes()
    assert not list(tmp_path.glob(".adapter.*"))


def test_a_placement_that_a_file_cannot_say_is_told_of_and_one_that_peft_cannot_do_is_refused(tmp_path, capsys):
    prompt.write(tmp_path / "source", PromptFile(ARRAY, {**METADATA, "placement": "suffix"}))
    assert convert_prompt(tmp_path / "source", tmp_path / "a.npy", None, None)["notes"]
    assert "placement is 'suffix'" in capsys.readouterr().err
    assert "PEFT puts every prompt in front" in error_of(tmp_path / "source", tmp_path / "adapter", "peft")


def test_what_is_rounded_or_left_out_is_told(tmp_path, capsys):
    np.save(tmp_path / "wide.npy", ARRAY.astype(np.float64) + 1e-12)
    done = convert_prompt(tmp_path / "wide.npy", tmp_path / "folder", "ptune", None)
    assert done["stored_dtype"] == "float64" and "rounded to float32" in capsys.readouterr().err
    adapter = Path(__file__).parent / "oracles" / "peft" / "t5_1_1"
    assert "rows 5 to 9 are left out" in convert_prompt(adapter, tmp_path / "own", "ptune", None)["notes"][0]


def test_a_base_model_that_is_here_is_compared_and_written_beside_the_prompt(tmp_path, ptune):
    model = model_folder.write(tmp_path / "model")
    np.save(tmp_path / "bare.npy", ARRAY)
    done = convert_prompt(tmp_path / "bare.npy", tmp_path / "own", "ptune", str(model))
    found = prompt.read(tmp_path / "own").metadata
    assert (done["base_model"], done["base_fingerprint"]) == (str(model), found["base_fingerprint"])
    assert f"5 rows of 16, of {model}" in sentence(done)
    other = model_folder.write(tmp_path / "other", seed=2)
    assert "model of fingerprint" in error_of(tmp_path / "own", tmp_path / "adapter", "peft", str(other))
    assert f"width is 16, and that of tiny is {256}" in error_of(tmp_path / "bare.npy", tmp_path / "adapter", "peft", "tiny")
    # Its file now says enough for it to be used.
    code, out, errors = ptune(
        "infer", tmp_path / "own", "--input", _lines(tmp_path), "--target_length", "2", "--positions", "256"
    )
    assert code == 0 and json.loads(out)["inputs"] == "a dog", errors


def test_a_name_that_cannot_be_looked_up_here_is_written_as_it_is(source, tmp_path, capsys):
    convert_prompt(source, tmp_path / "adapter", "peft", "google/t5-base-lm-adapt")
    config = json.loads((tmp_path / "adapter" / peft.CONFIG).read_text())
    assert config["base_model_name_or_path"] == "google/t5-base-lm-adapt"
    np.save(tmp_path / "bare.npy", ARRAY)
    capsys.readouterr()
    convert_prompt(tmp_path / "bare.npy", tmp_path / "own", "ptune", "google/t5-base-lm-adapt")
    assert "nothing was compared" in capsys.readouterr().err
    convert_prompt(tmp_path / "bare.npy", tmp_path / "nameless", "peft", None)
    assert "give --base" in capsys.readouterr().err


def test_of_a_model_that_ships_an_adapter_names_the_folder(tmp_path):
    prompt.write(tmp_path / "source", PromptFile(np.ones((2, 256), np.float32), {"base_model": "tiny"}))
    convert_prompt(tmp_path / "source", tmp_path / "adapter", "peft", None)
    config = json.loads((tmp_path / "adapter" / peft.CONFIG).read_text())
    assert config["base_model_name_or_path"] == shipped.locate("tiny")
    assert prompt.read(tmp_path / "adapter").metadata["base_model"] == "tiny"


def _lines(folder: Path) -> Path:
    (folder / "lines.txt").write_text("a dog\n")
    return folder / "lines.txt"
