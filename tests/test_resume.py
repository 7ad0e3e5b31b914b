"""A run that is stopped, in any way and anywhere, ends as if it had never been; one that diverges keeps its last good state."""

import json
import random
import signal
import subprocess
from pathlib import Path

import jax.numpy as jnp
import model_folder
import numpy as np
import pytest
from processes import STOPS, python
from same_run import metrics, prompts, starts

from ptune_cli.runs import RunFolder
from ptune_cli.training.optimizer import SGD, Adafactor
from ptune_cli.training.step import start

FLAGS = ("--seeds", "0,1", "--steps", "40", "--every.evaluate", "12", "--every.save", "5", "--every.log", "3")
TESTS = Path(__file__).parent  # the module of the task is found in the current folder


def last_state(run: Path, optimizer=None):
    """(step, state) of the newest checkpoint of two prompts of five rows."""
    zeros = {f"kinds.kinds-{seed}": jnp.zeros((5, 16)) for seed in (0, 1)}
    template = start(zeros, (optimizer or Adafactor()).build(list(zeros)))
    with RunFolder.open(run, (run / "config.gin").read_text()) as folder:
        step, state, _ = folder.restore(template)
    return step, state


def assert_equal(run: Path, whole: Path) -> None:
    assert prompts(run) == prompts(whole)
    assert metrics(run) == metrics(whole)
    results = [json.loads((folder / "results.json").read_text())["tasks"]["kinds:kinds"] for folder in (run, whole)]
    for row in (*results[0]["members"], *results[1]["members"]):
        del row["prompt"]  # its path
    assert results[0] == results[1]
    (_, found), (step, expected) = last_state(run), last_state(whole)
    assert step == 40
    for name, prompt in expected.trainable.items():
        assert np.asarray(found.trainable[name]).tobytes() == np.asarray(prompt).tobytes()


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """The run that nothing interrupts."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("whole") / "run"
    assert cli.main(model_folder.train(model, folder, *FLAGS)) == 0
    assert len(prompts(folder)) == 2
    return folder


def stopping(model: Path, run: Path, how: str, step: int):
    return python(STOPS, how, step, *model_folder.train(model, run, *FLAGS), cwd=TESTS, stdin=subprocess.PIPE)


def test_a_run_killed_at_random_steps_ends_as_one_that_was_not(model, whole, ptune, tmp_path):
    choose, run = random.Random(0), tmp_path / "run"
    for _ in range(3):
        with stopping(model, run, "kill", choose.randrange(4, 14)) as training:
            training.communicate()
        assert training.returncode == -signal.SIGKILL
    assert not (run / "results.json").exists()
    assert starts(run) == 3
    assert ptune(*model_folder.train(model, run, *FLAGS))[0] == 0
    assert_equal(run, whole)


def test_a_held_run_refuses_others_and_ends_with_75_when_told_to_stop(model, whole, ptune, tmp_path):
    run, command = tmp_path / "run", model_folder.train(model, tmp_path / "run", *FLAGS)
    with stopping(model, run, "hold", 7) as training:
        assert training.stdout.readline() == "held\n"
        refused = ptune(*command)
        training.terminate()
        _, errors = training.communicate("\n")
    in_use = f"the run folder {run} is in use by another process; wait for it to end, or choose another folder"
    assert refused == (2, "", f"ptune: error: {in_use}\n")
    assert training.returncode == 75
    assert errors.splitlines()[-1] == "ptune: stopped at step 7, which is saved; run the same command again to go on"
    assert last_state(run)[0] == 7
    code, _, errors = ptune(*command)
    assert code == 0
    assert errors.startswith("resuming from step 7\n")
    assert_equal(run, whole)


@pytest.mark.parametrize(("moment", "save"), [("before", 1), ("before", 4), ("after", 4), ("after", 7)])
def test_a_run_interrupted_around_a_save_goes_on_as_if_it_had_not(model, whole, ptune, tmp_path, monkeypatch, moment, save):
    """Between evaluation and save, and between save and the next step; steps 0, 12 and 24 are evaluated, 10 is not."""
    saves = []

    def interrupted(folder, *arguments, keep=RunFolder.save):
        saves.append(arguments[0])
        if len(saves) == save and moment == "before":
            raise KeyboardInterrupt
        keep(folder, *arguments)
        if len(saves) == save:
            raise KeyboardInterrupt

    command = model_folder.train(model, tmp_path / "run", *FLAGS)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save", interrupted)
        assert ptune(*command)[0] == 130
    assert saves[-1] in (0, 12, 24)
    code, _, errors = ptune(*command)
    assert code == 0
    if saves[-1] and moment == "after":
        assert f"resuming from step {saves[-1]}\n" in errors
    assert_equal(tmp_path / "run", whole)


def test_a_run_interrupted_before_its_results_only_scores(model, whole, ptune, tmp_path, monkeypatch):
    command = model_folder.train(model, tmp_path / "run", *FLAGS)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert ptune(*command)[0] == 130
    before = prompts(tmp_path / "run")
    code, _, errors = ptune(*command)
    assert code == 0
    assert errors.startswith("scoring kinds:kinds ") and errors.count("\n") == 1  # not a step, not an evaluation
    assert prompts(tmp_path / "run") == before
    assert_equal(tmp_path / "run", whole)


def test_another_configuration_is_refused_in_the_same_folder(model, whole, ptune):
    before = (whole / "config.gin").read_text()
    code, out, errors = ptune(*model_folder.train(model, whole, *FLAGS, "--steps", "41"))
    assert (code, out) == (2, "")
    assert errors.count("\n") == 1
    assert f"the run folder {whole} belongs to another config" in errors
    assert "'train.Train.steps = 40', of this run's 'train.Train.steps = 41'" in errors
    assert (whole / "config.gin").read_text() == before


def test_a_learning_rate_that_diverges_names_the_prompt_and_the_step_and_keeps_the_good_state(model, ptune, tmp_path):
    run = tmp_path / "run"
    flags = ("--seeds", "0,1", "--optimizer", "sgd", "--optimizer.learning_rate", "0.1,1e38", "--every.save", "100")
    for _ in range(2):  # the same again when run again
        code, out, errors = ptune(*model_folder.train(model, run, *flags))
        line = errors.splitlines()[-1]
        assert (code, out) == (1, "")
        assert line.startswith("ptune: error: the loss, gradient or update of kinds.kinds-1 is not finite at step ")
        failed = int(line.partition(" at step ")[2].split()[0])
        step, state = last_state(run, SGD(learning_rate=(0.1, 1e38)))
        assert step == failed == int(state.step)
        assert int(state.failed_at) == -1
        assert all(np.isfinite(prompt).all() for prompt in state.trainable.values())
        assert all(row["step"] <= failed for row in metrics(run))
        steps = [(row["step"], "train/loss/kinds.kinds-0" in row) for row in metrics(run)]
        assert len(set(steps)) == len(steps)
        assert not (run / "results.json").exists()


def test_weights_that_overflow_stop_the_run_at_its_first_step(ptune, tmp_path, model):
    from ptune_cli.formats import huggingface, huggingface_writing

    config, weights = huggingface.read(model)
    weights["decoder/logits_dense/kernel"] = np.full_like(weights["decoder/logits_dense/kernel"], 1e38)
    poisoned = model_folder.write(tmp_path / "poisoned")
    huggingface_writing.write(poisoned, config, weights)
    code, _, errors = ptune(*model_folder.train(poisoned, tmp_path / "run", "--seeds", "0,1"))
    line = errors.splitlines()[-1]
    assert code == 1
    assert "update of kinds.kinds-0, kinds.kinds-1 is not finite at step 0 (batch 0 of its order)" in line
    assert "lower the learning rate or compute in float32" in line
    assert last_state(tmp_path / "run")[0] == 0
