"""`ptune doctor`: every deviation of a run from a recipe and nothing else, and what a machine lacks."""

import importlib.metadata as metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import model_folder
import numpy
import pytest

from ptune_cli import config, gin_text
from ptune_cli.commands.train import Train
from ptune_cli.reports import lm_adaptation
from ptune_cli.reports.consequences import CONSEQUENCES
from ptune_cli.reports.deviations import NOT_RECORDED, deviations
from ptune_cli.reports.parameters import SIZES
from ptune_cli.runs import RunFolder

ROOT = Path(__file__).parent.parent
LM100K = "100,000 steps of LM adaptation"
ROWS = "text\tlabel\n" + "".join(f"mal {i}\tdog\ntree {i}\tplant\n" for i in range(10))


@pytest.fixture
def run(tmp_path):
    """Makes the folder of a run of the paper's recipe with other flags and files, as `ptune train` begins it."""

    def make(flags: dict[str, str] | None = None, *files: str) -> Path:
        settings, text = config.load(Train, ["runs/lester2021.gin", *files], flags=flags or {})
        assert text == gin_text.write(settings)
        RunFolder.open(tmp_path / "run", text).close()
        return tmp_path / "run"

    return make


def found(folder: Path, recipe: str = "runs/lester2021.gin") -> dict:
    """{setting: (the run's value, the recipe's)}."""
    return {deviation.setting: (deviation.run, deviation.recipe) for deviation in deviations(folder, recipe)}


@pytest.mark.parametrize("size", SIZES)
def test_the_recipe_itself_has_no_deviation_at_any_size(run, size):
    assert found(run({}, f"models/t5_1_1_{size}.gin")) == {}


def test_the_recipe_on_the_small_model_deviates_in_the_model_alone(run):
    folder = run({"model.checkpoint": "tiny", "model.config": "none", "model.vocabulary": "none", "tasks": "gloss_topic"})
    assert found(folder) == {
        "model.checkpoint": ("tiny: 900 steps of LM adaptation", LM100K),
        "model vocabulary": ("6,144 embeddings", "32,128 embeddings"),
    }


def test_the_original_repository_differs_from_the_paper_in_these_settings(run):
    assert found(run(), "runs/reference_repo.gin") == {
        "steps": (30_000, 50_000),
        "batch_size": (32, 128),
        "target_length": (None, 8),
        "optimizer.factored": (False, True),
        "number of seeds": (3, 1),
    }


CHANGES = [
    ({"method": "model", "seeds": "0,1,2"}, "method", "model", "prompt"),
    ({"model.dtype": "float32"}, "model.dtype", "float32", "bfloat16"),
    ({"model.dropout_rate": "0"}, "model.dropout_rate", 0.0, 0.1),
    ({"prompt.length": "20"}, "prompt.length", 20, 100),
    ({"prompt_lengths": "1,100"}, "prompt.length", (1, 100), 100),
    ({"prompt.init": "uniform"}, "prompt.init", "Uniform", "ClassLabels"),
    ({"prompt.init.rest": "uniform"}, "prompt.init.rest", "Uniform", "SampledVocabulary"),
    ({"prompt.init.rest.population": "100"}, "prompt.init.rest.population", 100, 5000),
    ({"prompt.placement": "suffix"}, "prompt.placement", "suffix", "prefix"),
    ({"seeds": "7"}, "number of seeds", 1, 3),
    ({"optimizer.learning_rate": "0.1"}, "optimizer.learning_rate", 0.1, 0.3),
    ({"optimizer.learning_rate": "0.3,0.3,0.1"}, "optimizer.learning_rate", (0.3, 0.3, 0.1), 0.3),
    ({"optimizer.schedule.warmup_steps": "10"}, "optimizer.schedule.warmup_steps", 10, 0),
    (
        {"optimizer.schedule.shape": "linear", "optimizer.schedule.decay_steps": "9"},
        "optimizer.schedule.shape",
        "linear",
        "constant",
    ),
    ({"optimizer.start_step": "0"}, "optimizer.start_step", 0, 1_100_000),
    ({"optimizer.decay_rate": "0.5"}, "optimizer.decay_rate", 0.5, 0.8),
    ({"optimizer.weight_decay": "0"}, "optimizer.weight_decay", 0.0, 1e-5),
    ({"optimizer.clip": "2"}, "optimizer.clip", 2.0, 1.0),
    ({"optimizer.factored": "true"}, "optimizer.factored", True, False),
    ({"optimizer.parameter_scale": "true"}, "optimizer.parameter_scale", True, False),
    ({"steps": "50"}, "steps", 50, 30_000),
    ({"batch_size": "16"}, "batch_size", 16, 32),
    ({"input_length": "64"}, "input_length", 64, 512),
    ({"target_length": "8"}, "target_length", 8, None),
    ({"train_split": "validation"}, "train_split", "validation", "train"),
    ({"validation_split": "dev", "test_split": "validation"}, "validation_split", "dev", "validation"),
    ({"test_split": "test"}, "test_split", "test", "validation"),
    ({"split_policy": "carve"}, "split_policy", "carve", "dev-as-test"),
    ({"protocol": "rank"}, "protocol", "rank", "greedy"),
    ({"z_loss": "0"}, "z_loss", 0.0, 1e-4),
    ({"every.evaluate": "500"}, "every.evaluate", 500, 1000),
    ({"tasks": "cb,super_glue_rte_v102"}, "tasks", "super_glue_rte_v102: the dataset's word in front", "no word in front"),
    ({"model.checkpoint": "google/t5-v1_1-base"}, "model.checkpoint", "google/t5-v1_1-base: no LM adaptation", LM100K),
    ({"model.checkpoint": "checkpoint_1"}, "model.checkpoint", "checkpoint_1: unknown LM adaptation", LM100K),
]


@pytest.mark.parametrize(("flags", "setting", "of_run", "of_recipe"), CHANGES, ids=str)
def test_each_change_is_named_with_both_values_and_nothing_else_is(run, flags, setting, of_run, of_recipe):
    assert found(run(flags)) == {setting: (of_run, of_recipe)}


HARMLESS = {
    "seeds": "3,4,5",
    "test_split": "validation",
    "prompt_lengths": "100",
    "positions": "800",
    "every.save": "10",
    "every.log": "1",
    "model.weights_dtype": "float32",
    "tasks": "boolq,cb",
    "optimizer.schedule.decay_steps": "5",
}


def test_what_changes_no_result_is_no_deviation(run):
    assert found(run(HARMLESS)) == {}


def test_another_optimizer_is_named_without_the_settings_that_it_cannot_have(run):
    assert found(run({"optimizer": "adam"})) == {
        "optimizer": ("Adam", "Adafactor"),
        "optimizer.learning_rate": (1e-3, 0.3),
        "optimizer.weight_decay": (0.0, 1e-5),
    }


def test_a_setting_that_an_older_run_did_not_record_is_said_to_be_missing(run):
    folder = run()
    text = (folder / "config.gin").read_text()
    assert "train.Train.z_loss = 0.0001\n" in text
    (folder / "config.gin").write_text(text.replace("train.Train.z_loss = 0.0001\n", ""))
    assert found(folder) == {"z_loss": (NOT_RECORDED, 1e-4)}


def test_every_line_of_why_is_of_a_setting_that_the_doctor_can_name():
    assert CONSEQUENCES.keys() <= {setting for _, setting, _, _ in CHANGES} | {"model vocabulary", "optimizer"}


@pytest.mark.parametrize(
    ("checkpoint", "steps"),
    [
        ("gs://t5-data/pretrained_models/t5x/t5_1_1_lm100k_xl/checkpoint_1100000", 100_000),
        ("/models/t5.1.1.lm10k.large/", 10_000),
        ("google/t5-base-lm-adapt", 100_000),
        ("google/t5-v1_1-base", 0),
        ("gs://t5-data/pretrained_models/t5x/t5_1_1_base/checkpoint_1000000", 0),
        ("t5-base", 0),
        ("tiny", 900),
        ("checkpoint_1100000", None),
        ("my/model", None),
    ],
)
def test_how_long_a_model_was_adapted_is_known_from_its_files_or_its_name(checkpoint, steps):
    assert lm_adaptation.steps(checkpoint) == steps


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of two steps on a tiny model."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("doctor")
    for name in ("train.tsv", "validation.tsv"):
        (folder / name).write_text(ROWS)
    model = model_folder.write(folder / "t5-base-lm-adapt")
    flags = ["--gin", "runs/lester2021.gin", "--model.checkpoint", str(model), "--model.config", "none"]
    flags += ["--model.vocabulary", "none", "--tasks", f"file:{folder}/train.tsv", "--template", "{text}", "--steps", "2"]
    flags += ["--batch_size", "2", "--prompt.length", "3", "--input_length", "16", "--output", str(folder / "run")]
    assert cli.main(["train", *flags]) == 0
    return folder / "run"


def test_a_real_run_is_compared_without_jax(trained):
    script = "import sys; sys.modules['jax'] = None; from ptune_cli import cli; sys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "doctor", trained, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["recipe"], said["finished"]) == ("runs/lester2021.gin", True)
    values = {row["setting"]: (row["run"], row["recipe"]) for row in said["deviations"]}
    rows = f"{model_folder.config().vocab_size:,} embeddings"
    assert values == {
        "model vocabulary": (rows, "32,128 embeddings"),
        "steps": (2, 30_000),
        "batch_size": (2, 32),
        "prompt.length": (3, 100),
        "input_length": (16, 512),
    }
    assert all(row["why"] == CONSEQUENCES[row["setting"]] for row in said["deviations"])


def test_people_read_each_deviation_with_its_reason(trained, run, ptune):
    code, out, errors = ptune("doctor", trained)
    assert (code, errors) == (0, "")
    assert out.startswith(f"{trained} beside runs/lester2021.gin: 5 deviations\n")
    assert f"\nsteps: 2, not 30000\n  {CONSEQUENCES['steps']}\n" in out
    assert ptune("doctor", run()) == (0, f"{run()} (not finished) beside runs/lester2021.gin: no deviations\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/run"], "no run at 'no/run'"),
        ([ROOT / "tests"], "is no run folder: it has no config.gin"),
        ([ROOT / "tests", "--recipe", "runs/lester.gin"], "is no run folder"),
    ],
)
def test_what_is_no_run_is_one_line(ptune, arguments, message):
    code, out, errors = ptune("doctor", *arguments)
    assert (code, out, errors.count("\n")) == (2, "", 1) and message in errors


def test_a_recipe_that_is_none_is_one_line(ptune, run):
    assert "did you mean 'runs/lester2021.gin'?" in ptune("doctor", run(), "--recipe", "runs/lester.gin")[2]
    code, _, errors = ptune("doctor", run(), "--recipe", "runs/pretrain_lm.gin")
    assert code == 2 and "runs/pretrain_lm.gin sets nothing of train.Train" in errors


def checks(*arguments: str, **environment: str) -> tuple[int, dict]:
    """Exit code and {name: check} of a `ptune doctor` in a process of its own, which TensorFlow must not enter."""
    script = """
import sys
from ptune_cli import cli
code = cli.main(["doctor", "--json", *sys.argv[1:]])
assert "tensorflow" not in sys.modules
sys.exit(code)
"""
    command = [sys.executable, "-S", "-c", script, *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.stdout, done.stderr
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def path_without(folder: Path, *packages: str) -> str:
    """A PYTHONPATH with this checkout and all that is installed but `packages`."""
    folder.mkdir()
    for entry in Path(numpy.__file__).parents[1].iterdir():
        if entry.name.partition("-")[0].partition(".")[0].lower() not in packages:
            (folder / entry.name).symlink_to(entry)
    return os.pathsep.join((str(ROOT), str(folder)))


def test_a_machine_that_has_everything_has_no_problem(tmp_path):
    code, found = checks(PYTHONPATH=path_without(tmp_path / "packages"))
    assert code == 0
    assert {name: check["state"] for name, check in found.items() if name != "cache"} == dict.fromkeys(
        (*("Python", "jax", "jaxlib", "optax", "flax", "other packages"), "devices", "seqio tasks", "CPU cores", "vocabulary"),
        "ok",
    )
    assert found["jax"]["found"] == metadata.version("jax")
    assert found["devices"]["found"] == "1 cpu (cpu)"


def test_a_package_that_is_missing_is_named_with_what_to_do(tmp_path):
    code, found = checks(PYTHONPATH=path_without(tmp_path / "packages", "optax", "safetensors", "seqio"))
    assert code == 1
    assert {name for name, check in found.items() if check["state"] == "problem"} == {"optax", "safetensors"}
    assert found["optax"]["found"] == "not installed" and found["optax"]["advice"].startswith("pip install 'optax>=")
    assert found["seqio tasks"]["state"] == "note"
    assert found["seqio tasks"]["found"] == "not installed: seqio"


def test_without_jax_or_the_reader_of_vocabularies_the_doctor_still_tells(tmp_path):
    code, found = checks(PYTHONPATH=path_without(tmp_path / "packages", "jax", "sentencepiece", "seqio", "tensorflow"))
    assert code == 1
    problems = {name for name, check in found.items() if check["state"] == "problem"}
    assert problems == {"jax", "devices", "sentencepiece", "vocabulary"}
    assert found["seqio tasks"]["found"] == "not installed: seqio, tensorflow"


def test_a_cache_that_cannot_be_written_is_a_problem(ptune, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PTUNE_CACHE", str(tmp_path / "file" / "cache"))
    code, out, _ = ptune("doctor")
    assert code == 1
    [line] = [line for line in out.splitlines() if line.startswith("problem")]
    assert line.startswith(f"problem  cache: {tmp_path / 'file' / 'cache'} cannot be written") and "set PTUNE_CACHE" in line


def test_looking_at_the_cache_does_not_make_it(ptune, monkeypatch, tmp_path):
    monkeypatch.setenv("PTUNE_CACHE", str(tmp_path / "deep" / "cache"))
    assert f"cache: {tmp_path / 'deep' / 'cache'} can be written" in ptune("doctor")[1]
    assert not list(tmp_path.iterdir())


def test_a_vocabulary_is_checked_by_reading_it(ptune, tmp_path):
    assert f"vocabulary: {model_folder.VOCABULARY}" in ptune("doctor", "--vocabulary", model_folder.VOCABULARY)[1]
    (tmp_path / "broken.model").write_bytes(b"no model")
    code, out, _ = ptune("doctor", "--vocabulary", tmp_path / "broken.model")
    assert code == 1 and "is not a SentencePiece model" in out
