"""`ptune launch --launcher slurm` on a real SLURM, of this machine: submitted, killed, told to stop, requeued; the same end."""

import os
import shutil
import signal
from pathlib import Path

import model_folder
import pytest
import sweep_settings
from process_tree import told
from processes import wait_for
from same_run import metrics, prompts, starts, step
from slurm_cluster import INSTALL, Cluster

TESTS = Path(__file__).parent  # the module of the task is found in the current folder
# The names of the nodes are no names of machines.
TWO = ("--launcher.nodes=2", "--launcher.setup=export JAX_COORDINATOR_ADDRESS=127.0.0.1:$((20000 + SLURM_JOB_ID % 10000))")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes, for all of these tests."""
    if not all(map(shutil.which, ("munged", "slurmctld", "slurmd"))) or os.geteuid():
        pytest.skip(INSTALL)
    found = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture
def submit(cluster, ptune, tmp_path, monkeypatch):
    """Launches a command line and returns the number of its job."""
    monkeypatch.chdir(TESTS)
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])

    def run(*arguments: object) -> str:
        code, out, errors = ptune(*arguments)
        assert code == 0, errors
        assert out.startswith("submitted job ")
        return out.split()[2].rstrip(",")

    return run


@pytest.fixture(scope="module")
def whole(model, cluster, tmp_path_factory):
    """The run of one process that nothing interrupts."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(TESTS)
        assert cli.main(model_folder.train(model, folder, *model_folder.LONG)) == 0
    return folder


def launch(model: Path, run: Path, *flags: str) -> tuple[str, ...]:
    return ("launch", "--launcher", "slurm", *flags, "--", *model_folder.train(model, run, *model_folder.LONG))


def log(run: Path, number: str) -> str:
    return next((run.parent / "launches").rglob(f"*-{number}.log")).read_text()


def assert_same(run: Path, whole: Path) -> None:
    assert prompts(run) == prompts(whole)
    assert metrics(run) == metrics(whole)


def test_a_job_of_one_process_is_waited_for_and_ends_as_a_run_here_does(submit, cluster, model, whole, tmp_path):
    number = submit(*launch(model, tmp_path / "run", "--launcher.wait"))
    assert cluster.job(number)["JobState"] == "COMPLETED"
    assert_same(tmp_path / "run", whole)
    assert "kinds.kinds-0" in log(tmp_path / "run", number)


def test_a_mistake_that_only_the_job_can_find_is_final(submit, cluster, ptune, model, tmp_path):
    (tmp_path / "run").write_text("in the way")
    code, out, _ = ptune(*launch(model, tmp_path / "run", *TWO, "--launcher.wait"))
    assert code == 2
    number = out.split()[2]
    assert cluster.job(number)["Restarts"] == "0"
    assert "0: ptune: error: cannot use" in log(tmp_path / "run", number)


def test_sbatch_says_what_it_does_not_take(submit, ptune, model, tmp_path):
    code, _, errors = ptune(*launch(model, tmp_path / "run", "--launcher.partition", "nowhere"))
    assert (code, errors.count("\n")) == (2, 1)
    assert errors.startswith("ptune: error: sbatch: ") and "invalid partition specified: nowhere" in errors


def test_a_job_that_is_told_to_stop_saves_and_goes_on_where_it_was(submit, cluster, model, whole, tmp_path):
    run = tmp_path / "run"
    number = submit(*launch(model, run))
    wait_for(lambda: step(run) >= 30)
    cluster.signal(number, "TERM")
    job = cluster.finish(number)
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1")
    assert "exit code 75: the job goes back into the queue" in log(run, number)
    assert starts(run) == 2
    assert_same(run, whole)


def test_a_job_of_two_nodes_goes_back_into_the_queue_when_a_process_is_killed(submit, cluster, model, tmp_path):
    runs = [tmp_path / name for name in ("whole", "killed")]
    numbers = [submit(*launch(model, run, *TWO)) for run in runs]
    wait_for(lambda: step(runs[1]) >= 30)
    os.kill(told(SLURM_JOB_ID=numbers[1], SLURM_PROCID="1")[0], signal.SIGKILL)
    whole, killed = [cluster.finish(number) for number in numbers]
    assert [(job["JobState"], job["NumTasks"], job["Restarts"]) for job in (whole, killed)] == [
        ("COMPLETED", "2", "0"),
        ("COMPLETED", "2", "1"),
    ]
    assert "exit code 137: the job goes back into the queue" in log(runs[1], numbers[1])
    assert starts(runs[1]) == 2
    assert_same(*runs)


def test_the_shares_of_a_sweep_are_an_array_that_trains_every_run_once_and_compares(submit, cluster, model, tmp_path, ptune):
    output = tmp_path / "sweep"
    settings = sweep_settings.write(tmp_path, model)
    grid = ("sweep", "--base", settings, "--over", "optimizer.learning_rate=0.1 0.2", "--output", output)
    number = submit(*grid, "--launcher", "slurm", "--launcher.wait", "--shares", "2")
    assert {run.name: starts(run) for run in output.iterdir() if (run / "run.json").is_file()} == {"0.1": 1, "0.2": 1}
    first, second = sorted((output / "launches").glob(f"*-{number}_*.log"))
    assert all("1 points, 0 finished" in file.read_text() for file in (first, second))
    assert (output / "sweep.json").is_file()
    alone = ("train", "--gin", settings, "--optimizer.learning_rate", "0.2", "--output", tmp_path / "alone")
    assert ptune(*alone)[0] == 0
    assert_same(output / "0.2", tmp_path / "alone")
    assert ptune(*grid)[0] == 0
