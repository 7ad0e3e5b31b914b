"""Two processes with two devices each run one `ptune train`: they stop together, whatever stops one, and go on as one run."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import model_folder
import numpy as np
import pytest
from processes import STOPS, free_port, python

from ptune_cli.formats import huggingface

TESTS = Path(__file__).parent  # the module of the task is found in the current folder
FLAGS = ("--seeds", "0,1", "--steps", "12", "--every.evaluate", "6", "--every.save", "4", "--every.log", "2")
ENDED = 90  # seconds in which a process has to end by itself; JAX's own farewell takes 300


@pytest.fixture
def gang(model, monkeypatch):
    """Starts two processes of a run, or of another command; At its sixth step each does what `how` says
    (STOPS; "" is nothing). None outlives the test."""
    started = []
    monkeypatch.setenv("XLA_FLAGS", f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2")

    def start(run: Path | list[str], how=("", ""), flags=((), ())) -> list[subprocess.Popen]:
        port = free_port()
        monkeypatch.setenv("JAX_COORDINATOR_BIND_ADDRESS", f"127.0.0.1:{port}")
        command = model_folder.train(model, run, *FLAGS) if isinstance(run, Path) else run
        for i in (0, 1):
            place = ("--processes.coordinator", f"127.0.0.1:{port}", "--processes.count", "2", "--processes.index", f"{i}")
            started.append(python(STOPS, how[i], 6, *command, *place, *flags[i], cwd=TESTS, stdin=subprocess.PIPE))
        return started[-2:]

    yield start
    for process in started:
        process.kill()
        with process:  # closes its pipes
            process.wait()


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Exit code, and what was said on standard error but for gloo's and the coordination service's own lines."""
    _, error = process.communicate(timeout=ENDED)
    return process.returncode, "\n".join(line for line in error.splitlines() if not re.match(r"\[Gloo\]|[EWIF]\d{4} ", line))


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """The same run in one process on one device."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("whole") / "run"
    assert cli.main(model_folder.train(model, folder, *FLAGS)) == 0
    return folder


def assert_same_prompts(run: Path, whole: Path) -> None:
    found, expected = ({file.parent.name: np.load(file) for file in one.glob("prompts/*/prompt.npy")} for one in (run, whole))
    assert len(expected) == 2 and found.keys() == expected.keys()
    for name, prompt in expected.items():
        np.testing.assert_allclose(found[name], prompt, atol=1e-4)


def let_go(process: subprocess.Popen) -> None:
    """Of one that holds."""
    process.stdin.write("\n")
    process.stdin.flush()


def test_sigterm_to_one_saves_on_both_and_one_device_goes_on_where_they_stopped(gang, whole, model, ptune, tmp_path):
    run = tmp_path / "run"
    first, second = gang(run, how=("hold", ""))
    assert first.stdout.readline() == "held\n"
    second.send_signal(signal.SIGTERM)
    while "SIGTERM caught" not in second.stderr.readline():  # JAX looks once a second; without it the run is over before
        assert second.poll() is None
    let_go(first)
    codes, said = zip(*map(ended, (first, second)), strict=True)
    assert codes == (75, 75), said
    saved = int(re.search(r"stopped at step (\d+)", said[0])[1])
    assert 6 <= saved < 12
    assert sorted(int(step.name) for step in (run / "checkpoints").iterdir())[-1] == saved
    code, _, error = ptune(*model_folder.train(model, run, *FLAGS))
    assert code == 0 and f"resuming from step {saved}" in error
    assert_same_prompts(run, whole)


def test_an_error_in_one_process_ends_the_other_which_says_what_it_was(gang, tmp_path):
    first, second = gang(tmp_path / "run", how=("", "raise"))
    code, said = ended(first)
    assert (code, "Traceback" in said) == (1, False)
    assert "process 1 failed: ValueError: a bug in one process" in said
    code, said = ended(second)
    assert code == 1 and said.rstrip().endswith("ValueError: a bug in one process")


def test_a_process_that_hangs_is_noticed(gang, tmp_path):
    watchdog = ("--processes.watchdog", "5")
    first, second = gang(tmp_path / "run", how=("hold", ""), flags=(watchdog, watchdog))
    assert first.stdout.readline() == "held\n"
    second.send_signal(signal.SIGSTOP)
    let_go(first)
    code, said = ended(first)
    assert code == 74
    assert "no step for 5 seconds" in said and "most recent call first" in said


def test_processes_with_different_settings_are_refused(gang, tmp_path):
    processes = gang(tmp_path / "run", flags=((), ("--z_loss", "0.5")))
    for code, said in map(ended, processes):
        assert code == 2
        assert "process 1 has another configuration than process 0" in said
    assert not (tmp_path / "run").exists()


def test_a_model_tuned_by_two_processes_is_the_one_that_one_process_tunes(gang, model, ptune, tmp_path):
    flags = ("--method", "model", "--steps", "4", "--optimizer.learning_rate", "0.01")
    alone, together = (model_folder.train(model, tmp_path / name, *flags) for name in ("alone", "together"))
    assert ptune(*alone)[0] == 0
    assert [ended(process)[0] for process in gang([*together, "--mesh", "data=2,model=2"])] == [0, 0]
    _, expected = huggingface.read(tmp_path / "alone" / "model")
    for name, array in huggingface.read(tmp_path / "together" / "model")[1].items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5)


def test_two_processes_score_prompts_as_one_does(gang, whole, ptune):
    command = ["eval", str(whole), "--protocol", "rank", "--json"]
    _, expected, _ = ptune(*command)
    first, second = gang([*command, "--mesh", "data=2,model=2"])
    assert json.loads(first.communicate(timeout=ENDED)[0]) == json.loads(expected)
    assert second.communicate(timeout=ENDED)[0] == ""
