"""`ptune plan`: what a run will take, against counts by hand and against the run."""

import json
import shutil
from pathlib import Path

import jax
import kinds
import model_folder
import numpy as np
import pytest

from ptune_cli.data.batches import SAMPLED
from ptune_cli.data.examples import order
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.formats import huggingface, huggingface_config
from ptune_cli.reports.plan_table import duration, gibibytes

TUNE = "--method model --optimizer.learning_rate 0.01".split()


@pytest.fixture
def plan(model, ptune):
    """The JSON of a plan of the tests' run, without a rehearsal unless it is asked for."""

    def plan(*flags: str, base: Path = model) -> dict:
        code, out, errors = ptune(*command(base, "--no-measure", *flags, "--json"))
        assert code == 0, errors
        return json.loads(out)

    return plan


def command(model: Path, *flags: str) -> list[str]:
    return ["plan", *model_folder.train(model, Path("nowhere"), *flags)[1:]]


@pytest.fixture
def huge(tmp_path):
    """The sizes and vocabulary of a model that no machine holds: 120 TB, and no weights."""
    sizes = {"emb_dim": 2**20, "num_heads": 2**10, "head_dim": 2**10, "mlp_dim": 2**21}
    config = model_folder.config(**sizes)
    folder = tmp_path / "huge"
    folder.mkdir()
    (folder / "config.json").write_bytes(huggingface_config.config_json(config, "float32"))
    shutil.copy(model_folder.VOCABULARY, folder / "spiece.model")
    return folder


def test_what_does_not_fit_is_counted_without_reading_or_allocating_anything(huge, plan):
    arrays = sum(array.nbytes for array in jax.live_arrays())
    found = plan("--measure", "--seeds", "0,1", base=huge)
    d, joined, mlp, vocabulary = 2**20, 2**20, 2**21, 256
    layers = (4 * d * joined + 3 * d * mlp + 2 * d) + (8 * d * joined + 3 * d * mlp + 3 * d)
    assert found["frozen_parameters"] == layers + 2 * (2**10 * 32 + d) + 2 * vocabulary * d
    assert found["trainable_parameters"] == 2 * 5 * d
    assert found["percent_trainable"] == pytest.approx(100 * 10 * d / (10 * d + found["frozen_parameters"]))
    assert found["weight_bytes"] == 4 * found["frozen_parameters"]
    assert found["step_bytes"] > found["weight_bytes"]
    assert (found["members"], found["target_length"]) == (2, 3)
    assert found["examples_a_row"] * sum(part["rows"] * part["a_step"] for part in found["microbatches"]) >= 8
    assert found["step_operations"] > 4 * layers
    assert found["measured"] is None and "do not fit in" in found["not_measured"]
    assert sum(array.nbytes for array in jax.live_arrays()) <= arrays + 2**20


def test_padding_is_what_the_rows_leave_of_the_positions(plan):
    found = plan("--seeds", "0,1")
    own = [length + 5 for length in lengths("inputs")]  # with the prompt
    real = sum(own[i] for seed in (0, 1) for i in order(seed, len(own), 0, 4 * SAMPLED))
    computed = SAMPLED * sum(part["rows"] * part["length"] * part["a_step"] for part in found["microbatches"])
    assert found["percent_padding"] == pytest.approx(100 * (1 - real / computed)) and found["percent_padding"] > 0


def lengths(kind: str) -> list[int]:
    """Tokens of the training examples, with EOS."""
    vocabulary = Vocabulary(model_folder.VOCABULARY)
    return [len(vocabulary.encode(text)) + 1 for text in kinds.rows("train")[kind]]


def test_the_share_of_examples_that_are_cut_is_counted(plan):
    assert [plan()[f"percent_cut_{kind}"] for kind in ("inputs", "targets")] == [0, 0]
    found = plan("--input_length", "12", "--target_length", "2", "--truncate_targets")
    for kind, limit in (("inputs", 12), ("targets", 2)):
        over = sum(length > limit for length in lengths(kind))
        assert 0 < over < 40 and found[f"percent_cut_{kind}"] == pytest.approx(100 * over / 40)


def test_operations_are_those_of_the_steps_that_are_run(model, plan, monkeypatch):
    """By XLA's count of the programs that a run of these steps calls, with the weights and batches it calls them with."""
    from ptune_cli import cli
    from ptune_cli.training.step import Step

    counted = []

    def count(step, state, frozen, batches, run=Step.__call__):
        counted.append(sum(step.operations(state, frozen, batch) for batch in batches))
        return run(step, state, frozen, batches)

    found = plan("--steps", "16")
    monkeypatch.setattr(Step, "__call__", count)
    assert cli.main(command(model, "--steps", "16", "--json")) == 0
    assert len(counted) == 1 + SAMPLED  # and the one that compiles
    assert found["step_operations"] == pytest.approx(np.mean(counted[1:]))


def test_the_rehearsed_times_add_up_to_those_of_the_run(plan, bank):
    flags = ("--seeds", "0,1", "--prompt_lengths", "3,5", "--test_split", "test")
    found = plan(*flags, "--measure")["measured"]
    rows = [json.loads(line) for line in (bank / "metrics.jsonl").read_text().splitlines()]
    evaluated = [row for row in rows if any(name.startswith("validation/") for name in row)]
    assert (found["steps"], found["evaluations"]) == (10, len(evaluated)) == (10, 4)
    parts = [found[name] for name in ("step_seconds", "evaluation_seconds", "final_scoring_seconds")]
    assert all(part > 0 for part in parts)
    assert found["run_seconds"] == pytest.approx(np.dot(parts, [10, 4, 1]))
    assert found["peak_bytes"] > 2**20


def test_model_tuning_trains_all_parameters_and_holds_what_its_optimizer_keeps(model, plan):
    found = plan(*TUNE, "--measure", "--optimizer", "adam")
    count = sum(array.size for array in huggingface.read(model)[1].values())
    assert (found["trainable_parameters"], found["frozen_parameters"]) == (count, 0)
    assert found["weight_bytes"] == 4 * count and found["measured"]["step_seconds"] > 0
    held = found["step_bytes"] - plan(*TUNE, "--optimizer", "sgd", "--optimizer.momentum", "0")["step_bytes"]
    assert held >= 1.9 * found["weight_bytes"]  # the moments of Adam


def test_a_train_command_is_a_plan_when_its_first_word_is_changed(ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "from __gin__ import dynamic_registration\nfrom ptune_cli.commands import train\ninclude 'runs/demo.gin'\n"
    Path("own.gin").write_text(f"{text}train.Train.steps = 77\n")
    flags = ("--gin", "own.gin", "--seeds", "3", "--gin.train.Train.batch_size=4", "--explain")
    code, out, errors = ptune("plan", *flags)
    assert code == 0 and "not used" not in out, errors
    assert ptune("train", *flags)[1].splitlines() == [line for line in out.splitlines() if line.split()[0] != "measure"]
    assert "77" in next(line for line in out.splitlines() if line.startswith("steps "))


def test_a_plan_needs_no_output_and_writes_none(model, ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(kinds.__file__).parent)
    flags = ("--model.checkpoint", model, "--tasks", "kinds:kinds", "--prompt.length", "5", "--no-measure")
    assert ptune("plan", *flags)[0] == 0
    assert ptune("plan", *flags, "--output", "run")[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_the_table_is_for_people_and_no_wider_than_a_terminal(model, ptune, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = ptune(*command(model))
    assert code == 0 and max(map(len, out.splitlines())) <= 80
    text = " ".join(out.split())
    assert "trainable parameters 80 (" in text and "0.00% of the inputs, 0.00% of the targets" in text
    assert "10 steps, 4 evaluations" in text and "memory, measured" in text
    assert "not measured: --no-measure" in ptune(*command(model, "--no-measure"))[1]


def test_prompt_design_has_no_plan_and_train_no_dry_run(model, ptune):
    flags = ("--method", "design", "--design.separator", ":")
    code, _, errors = ptune(*command(model, *flags))
    assert code == 2 and "prompt design trains nothing, so there is nothing to plan; start it with ptune train" in errors
    code, _, errors = ptune("train", *command(model, "--dry-run")[1:])
    assert code == 2 and "no flag --dry_run" in errors


def test_sizes_and_times_are_written_as_people_read_them():
    assert [duration(seconds) for seconds in (0.52, 90, 3600 * 30)] == ["0.5 s", "2 min", "30.0 h"]
    assert [gibibytes(2**20), gibibytes(3 * 2**29)] == ["1 MiB", "1.5 GiB"]


def test_weights_are_abstract_until_they_are_rehearsed_with():
    from ptune_cli.training.rehearsal import random_like

    shapes = {"a": jax.ShapeDtypeStruct((300, 400), "bfloat16"), "b": jax.ShapeDtypeStruct((5,), "float32")}
    found = random_like(shapes)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), found) == jax.tree.map(lambda s: (s.shape, s.dtype), shapes)
    assert float(found["a"].astype("float32").std()) == pytest.approx(300**-0.5, rel=0.1)
