"""`ptune launch`: a command is checked, then runs as several processes that end as one that nothing stopped."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import model_folder
import pytest
from process_tree import alive, below, listening
from processes import python, wait_for
from same_run import metrics, prompts, starts, step

from ptune_cli.launchers.job import Job
from ptune_cli.launchers.slurm import Slurm

TESTS = Path(__file__).parent  # the module of the task is found in the current folder
PTUNE = "import sys; from ptune_cli import cli; sys.exit(cli.main(sys.argv[1:]))"
RUN = ("train", "--gin", "runs/demo.gin", "--output", "out/demo run")

SCRIPT = """\
# out/launches/train-demo-run/train-demo-run.sbatch
#!/bin/bash
#SBATCH --job-name=train-demo-run
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --chdir={folder}
#SBATCH --output=out/launches/train-demo-run/train-demo-run-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=TERM@120
#SBATCH '--comment=it'"'"'s mine'

set -e
source 'my venv/bin/activate'
set +e

srun --kill-on-bad-exit=0 --wait=60 --label --cpus-per-task=8 \
python -P -m ptune_cli.cli train --gin runs/demo.gin --output 'out/demo run'
code=$?
if [ $code -eq 74 ] || [ $code -eq 75 ] || [ $code -gt 128 ]; then
  if [ "${{SLURM_RESTART_COUNT:-0}}" -lt 20 ]; then
    echo "ptune: exit code $code: the job goes back into the queue"
    scontrol requeue "$SLURM_JOB_ID" && sleep 300  # SLURM ends this script
  else
    echo "ptune: exit code $code after 20 requeues: that is all"
  fi
fi
exit $code

sbatch --parsable out/launches/train-demo-run/train-demo-run.sbatch
"""
LOCAL = """\
env JAX_COORDINATOR_BIND_ADDRESS=127.0.0.1:PORT XLA_FLAGS=--xla_force_host_platform_device_count=4 \
{python} -P -m ptune_cli.cli train \
--processes.coordinator 127.0.0.1:PORT --processes.count 2 --processes.index {index} --gin runs/demo.gin --output 'out/demo run'
"""


def test_a_dry_run_on_this_machine_prints_a_command_for_each_process(ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    flags = ("--launcher", "local", "--launcher.devices_per_process", "4", "--dry_run")
    code, out, errors = ptune("launch", *flags, "--", *RUN)
    assert (code, errors) == (0, "")
    assert out == "".join(LOCAL.format(python=sys.executable, index=index) for index in (0, 1))
    code, out, _ = ptune("launch", *flags, "--json", "--", *RUN)
    assert json.loads(out)["files"] == {} and json.loads(out)["commands"][1][-4:] == list(RUN[1:])
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_slurm_prints_the_script_and_how_it_is_submitted(ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"nodes": "2", "cpus_per_task": "8", "time": "12:00:00", "python": "python"}
    flags = [word for name, value in options.items() for word in (f"--launcher.{name}", value)]
    flags += ["--launcher.setup", "source 'my venv/bin/activate'", "--launcher.extra=--comment=it's mine", "--dry_run"]
    code, out, errors = ptune("launch", "--launcher", "Slurm", *flags, "--", *RUN)
    assert (code, errors) == (0, "")
    assert out == SCRIPT.format(folder=tmp_path)


def test_a_sweep_is_submitted_as_an_array_of_its_shares(ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = ("--base", "runs/demo.gin", "--over", "optimizer.learning_rate=0.1 0.3 0.5", "--output", "out/rates")
    flags = ("--launcher", "slurm", "--launcher.at_once", "2", "--launcher.requeue", "false", "--launcher.python", "python")
    code, out, errors = ptune("sweep", *grid, *flags, "--shares", "8", "--dry_run")
    assert (code, errors) == (0, "")
    lines = out.splitlines()
    assert "#SBATCH --array=0-2%2" in lines  # there are only three runs
    assert "#SBATCH --output=out/rates/launches/sweep-rates-%A_%a.log" in lines and "#SBATCH --no-requeue" in lines
    again = """--output out/rates --jobs 1 --base '('"'"'runs/demo.gin'"'"',)'"""
    over = """--over '('"'"'optimizer.learning_rate=0.1 0.3 0.5'"'"',)' --share "$SLURM_ARRAY_TASK_ID/3\""""
    assert lines[-3] == f"srun --kill-on-bad-exit=0 --wait=60 python -P -m ptune_cli.cli sweep {again} {over}"
    assert lines[-1] == "sbatch --parsable out/rates/launches/sweep-rates.sbatch"
    assert not (tmp_path / "out").exists()


MISTAKES = {
    ("launch", "--", *RUN): "launch.Launch.launcher is not chosen; give --launcher Local or Slurm",
    ("launch", "--launcher", "local"): "no command; give it behind --",
    ("launch", "--launcher", "local", "--", "tarin"): "no command 'tarin'; did you mean 'train'?",
    ("launch", "--launcher", "local", "--", *RUN, "--stepps", "3"): "no flag --stepps; did you mean '--steps'?",
    ("launch", "--launcher", "slurm", "--", "train", "--gin", "runs/dmeo.gin"): "no gin file 'runs/dmeo.gin'",
    ("launch", "--launcher", "local", "--", "tasks"): "ptune tasks runs in one process; give a launcher of one",
    ("launch", "--launcher", "local", "--", "launch", "--launcher", "local"): "the command is to be launched already",
    ("launch", "--launcher", "local", "--", *RUN, "--processes.count", "3"): "the command is to be launched already",
    ("launch", "--launcher", "local", "--", "train", "--help"): "ptune train --help only prints something",
    ("launch", "--launcher", "slurm", "--name", "My Job", "--", *RUN): "a job cannot be named 'My Job'",
    ("launch", "--launcher", "local", "--launcher.processes", "0", "--", *RUN): "processes is 0, expected at least 1",
    ("launch", "--launcher", "slurm", "--launcher.extra", "x", "--", *RUN): "extra has 'x', which is no option of sbatch",
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.items())
def test_a_mistake_ends_here_in_one_line(ptune, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, errors = ptune(*arguments)
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert message in errors
    assert list(tmp_path.iterdir()) == []


def test_without_slurm_a_submission_says_where_its_script_is(ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    script = "out/launches/train-demo-run/train-demo-run.sbatch"
    code, _, errors = ptune("launch", "--launcher", "slurm", "--", *RUN)
    assert (code, errors) == (2, f"ptune: error: there is no sbatch here; submit {script} where SLURM is\n")
    assert Path(script).read_text().startswith("#!/bin/bash\n")


@pytest.mark.parametrize("code", [0, 1, 2, 74, 75, 134, 137])
@pytest.mark.parametrize(("restarts", "most"), [(0, 0), (0, 2), (1, 2), (2, 2)])
def test_a_job_is_requeued_for_what_may_end_otherwise_and_not_too_often(tmp_path, code, restarts, most):
    """The batch script as bash runs it, with an srun that ends with a code and an scontrol that writes down what it is given."""
    script = Slurm(max_requeues=most).plan(Job("a", ("train",), tmp_path)).files[tmp_path / "a.sbatch"]
    (tmp_path / "a.sbatch").write_text(script.replace("sleep 300", "true"))
    for name, does in {"srun": f"exit {code}", "scontrol": 'echo "$@" > requeued'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": str(restarts)}
    assert subprocess.run(["bash", "a.sbatch"], cwd=tmp_path, env=variables, capture_output=True).returncode == code
    again = code in (74, 75, 134, 137) and restarts < most
    assert (tmp_path / "requeued").exists() == again
    assert not again or (tmp_path / "requeued").read_text() == "requeue 7\n"


def launching(model: Path, run: Path, *flags: str):
    """The process of a launcher of two."""
    command = ("launch", "--launcher", "local", "--", *model_folder.train(model, run, *model_folder.LONG, *flags))
    return python(PTUNE, *command, cwd=TESTS)


def until(launcher, run: Path, reached: int) -> None:
    """Wait for a step of a run; or for its end, for which the test has not waited."""
    wait_for(lambda: step(run) >= reached or launcher.poll() is not None)


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory) -> Path:
    """The run of two processes that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with launching(model, folder) as launcher:
        out, errors = launcher.communicate()
    assert launcher.returncode == 0, errors
    assert "kinds.kinds-0" in out and "0| " in errors and starts(folder) == 1
    return folder


def assert_same(run: Path, whole: Path) -> None:
    assert prompts(run) == prompts(whole)
    assert metrics(run) == metrics(whole)


def test_when_a_process_is_killed_all_start_again_and_end_as_if_it_had_not_been(model, whole, tmp_path):
    run, choose = tmp_path / "run", random.Random(0)
    with launching(model, run) as launcher:
        for index, least, most in ((1, 20, 100), (0, 120, 250)):
            until(launcher, run, choose.randrange(least, most))
            killed = below(launcher.pid)
            os.kill(killed[index], signal.SIGKILL)
            wait_for(lambda killed=killed: not any(map(alive, killed)))
        _, errors = launcher.communicate()
    assert launcher.returncode == 0, errors
    assert [line for line in errors.splitlines() if line.startswith("ptune: ")] == [
        "ptune: a process ended with signal 9: restart 1 of 3",
        "ptune: a process ended with signal 9: restart 2 of 3",
    ]
    assert starts(run) == 3
    assert_same(run, whole)


def test_told_to_stop_they_save_and_go_on_from_there(model, whole, tmp_path):
    run = tmp_path / "run"
    with launching(model, run) as launcher:
        until(launcher, run, 30)
        launcher.terminate()
        _, errors = launcher.communicate()
    assert launcher.returncode == 75, errors
    assert "restart" not in errors and not (run / "results.json").exists()
    with launching(model, run) as launcher:
        _, errors = launcher.communicate()
    assert launcher.returncode == 0 and "resuming from step" in errors
    assert_same(run, whole)


def test_they_listen_on_the_loopback_alone_and_end_with_a_launcher_that_is_killed(model, tmp_path):
    run = tmp_path / "run"
    with launching(model, run) as launcher:
        until(launcher, run, 10)
        running = below(launcher.pid)
        assert len(running) >= 2
        assert listening(running) == {"127.0.0.1"}
        launcher.kill()
        launcher.communicate()
    wait_for(lambda: not any(map(alive, running)), 5)


def test_a_mistake_that_the_processes_find_is_final(model, whole):
    with launching(model, whole, "--steps", "301") as launcher:
        out, errors = launcher.communicate()
    assert (launcher.returncode, out) == (2, "")
    assert "belongs to another config" in errors and "restart" not in errors
