"""The Cloud TPU launcher, with a stand-in for gcloud that runs on this machine what it is told to run on a TPU."""

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import stand_ins

from ptune_cli.errors import RunFailure, UserError
from ptune_cli.launchers.gcloud import Gcloud
from ptune_cli.launchers.job import Job

TESTS = Path(__file__).parent
WHERE = ["--zone=z", "--project=p", "--quiet"]
ALL_FOUR = "until [ $(wc -l <$STAND_IN/commands) = 4 ]; do sleep 0.05; done"
# What runs in place of ptune: attempt i appends a line to its results, waits, and ends with the i-th of the given codes.
PTUNE = """
echo "$WORKER $*" >>$STAND_IN/commands
i=$(cat $STAND_IN/$WORKER.attempts 2>/dev/null || echo 0)
echo $((i + 1)) >$STAND_IN/$WORKER.attempts
mkdir -p runs/demo && echo "attempt $i" >>runs/demo/results && echo "step 1 of attempt $i"
{wait}
set -- {codes}
shift $i
exit $1
"""


@dataclass
class Cloud:
    """The stand-in: `say` how it is to behave, and read what it was given."""

    folder: Path

    def say(self, codes: str = "0", wait: str = "", **script) -> None:
        (self.folder / "ptune.sh").write_text(PTUNE.format(codes=codes, wait=wait))
        (self.folder / "script.json").write_text(json.dumps(script))

    def verbs(self) -> list[str]:
        """In order, without repeats in a row."""
        found: list[str] = []
        for call in self.calls():
            found += [call[3]] if found[-1:] != [call[3]] else []
        return found

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]

    @property
    def has_tpu(self) -> bool:
        return json.loads((self.folder / "memory.json").read_text())["exists"]


@pytest.fixture
def cloud(tmp_path, monkeypatch) -> Cloud:
    folder = tmp_path / "cloud"
    folder.mkdir()
    monkeypatch.setenv("STAND_IN", str(folder))
    monkeypatch.setenv("STAND_IN_HOST", str(stand_ins.FOLDER / "host"))
    monkeypatch.setenv("PATH", stand_ins.install("gcloud", tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    Path("ptune-1-py3-none-any.whl").write_bytes(b"")
    Path("my.gin").write_text("include 'base.gin'\n")
    Path("base.gin").write_text("# nothing\n")
    cloud = Cloud(folder)
    cloud.say()
    return cloud


JOB = Job("xl", ("train", "--gin", "my.gin", "--tasks", "a b"), Path("launches/xl"))
GCLOUD = dict(accelerator="v5litepod-16", zone="z", project="p", wheel="ptune-1-py3-none-any.whl[tasks]", poll=0.01)


def launcher(**settings) -> Gcloud:
    return Gcloud(**{**GCLOUD, **settings})


def results() -> list[str]:
    return Path("launches/xl/xl/runs/demo/results").read_text().splitlines()


def test_the_plan_is_the_command_lines_in_order(cloud):
    plan = launcher(spot=True).plan(JOB)
    queue, vm = ["gcloud", "compute", "tpus", "queued-resources"], ["gcloud", "compute", "tpus", "tpu-vm"]
    commands = [list(command) for command in plan.commands]
    create = ["--node-id=xl", "--accelerator-type=v5litepod-16", "--runtime-version=v2-alpha-tpuv5-lite", "--spot"]
    assert commands[:2] == [
        [*queue, "create", "xl", *create, *WHERE],
        [*queue, "describe", "xl", "--format=value(state.state)", *WHERE],
    ]
    assert commands[2:6] == [
        [*vm, "ssh", "xl", "--worker=all", "--command=mkdir -p ptune/xl", *WHERE],
        [*vm, "scp", "--recurse", "ptune-1-py3-none-any.whl", "xl:ptune/", "--worker=all", *WHERE],
        [*vm, "ssh", "xl", "--worker=all", commands[4][7], *WHERE],
        [*vm, "scp", "--recurse", "launches/xl/xl", "xl:ptune/", "--worker=all", *WHERE],
    ]
    assert commands[4][7].endswith(
        "uv pip install --quiet --python ptune/venv 'jax[tpu]' './ptune/ptune-1-py3-none-any.whl[tasks]'"
    )
    assert commands[6][:6] == [*vm, "ssh", "xl"] and "../venv/bin/ptune train --gin my.gin --tasks" in commands[6][7]
    assert commands[7][4:7] == ["ssh", "xl", "--worker=0"]
    assert commands[8:] == [
        [*vm, "scp", "--recurse", "xl:ptune/xl", "launches/xl", "--worker=0", *WHERE],
        [*queue, "delete", "xl", "--force", *WHERE],
    ]


def test_what_is_run_is_what_was_planned(cloud):
    plan = launcher().plan(JOB)
    assert launcher().run(JOB) == 0
    given, planned = cloud.calls(), [list(command[1:]) for command in plan.commands]
    assert given[0] == planned[1]  # is there one already?
    looks = [call for call in given if "ptune-state" in "".join(call)]
    fetch = [call for call in given if call[:4] == planned[8][:4] and "xl:ptune/xl" in call]
    rest = [call for call in given[1:] if call not in looks and call not in fetch]
    assert rest == [command for i, command in enumerate(planned) if i not in (7, 8)]
    assert looks[0] == planned[7] and len(fetch) == 1


def test_every_worker_gets_the_wheel_the_gin_files_and_the_same_command(cloud):
    cloud.say(workers=4, wait=ALL_FOUR)
    assert launcher().run(JOB) == 0
    lines = sorted((cloud.folder / "commands").read_text().splitlines())
    assert lines == [f"xl-{i} train --gin my.gin --tasks a b" for i in range(4)]
    installed = sorted((cloud.folder / "installed").read_text().splitlines())
    assert installed == [f"xl-{i} ./ptune/ptune-1-py3-none-any.whl[tasks]" for i in range(4)]
    assert Path("launches/xl/xl/base.gin").read_text() == "# nothing\n"


def test_the_log_is_printed_once_the_results_are_fetched_and_the_tpu_is_given_back(cloud, capfd):
    cloud.say(states=[["WAITING_FOR_RESOURCES", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]])
    assert launcher().run(JOB) == 0
    printed = capfd.readouterr().out.splitlines()
    assert printed == ["xl: WAITING_FOR_RESOURCES", "xl: PROVISIONING", "xl: ACTIVE", "step 1 of attempt 0"]
    assert results() == ["attempt 0"] and not cloud.has_tpu


def test_a_log_that_is_looked_at_in_the_middle_of_a_character_is_not_printed_twice(cloud, capfdbinary):
    """The log has a carriage return and half a character when it is first looked at, and the rest later."""
    first, rest = r"printf '50%%\r\n\303'", r"printf '\251\nend\n'"
    looked = "until [ $(grep -c ptune-state $STAND_IN/calls.jsonl) -ge 3 ]; do sleep 0.05; done"
    cloud.say(wait=f"{first}; {looked}; {rest}")
    assert launcher().run(JOB) == 0
    printed = capfdbinary.readouterr().out
    assert printed.count(b"50%\r\n") == printed.count(b"\nend\n") == 1
    assert Path("launches/xl/xl/log.txt").read_bytes().endswith("50%\r\né\nend\n".encode())


@pytest.mark.parametrize("code", [1, 2])
def test_a_command_that_failed_is_not_started_again(cloud, code):
    cloud.say(codes=f"{code} 0")
    assert launcher().run(JOB) == code
    assert results() == ["attempt 0"] and not cloud.has_tpu


def test_a_preempted_command_goes_on_on_a_new_tpu_from_its_results(cloud, capfd):
    cloud.say(codes="75 0")
    assert launcher().run(JOB) == 0
    assert results() == ["attempt 0", "attempt 1"] and not cloud.has_tpu
    assert cloud.verbs().count("create") == cloud.verbs().count("delete") == 2
    printed = capfd.readouterr().out
    assert printed.count("step 1 of attempt 0") == printed.count("step 1 of attempt 1") == 1


def test_a_hung_command_is_started_again_on_the_same_tpu(cloud):
    cloud.say(codes="74 0")
    assert launcher().run(JOB) == 0
    assert results() == ["attempt 0", "attempt 1"] and cloud.verbs().count("create") == 1


def test_what_is_left_of_a_hung_command_is_ended_before_it_starts_again(cloud):
    hang = 'case "$WORKER.$i" in xl-1.0) sleep 300 ;; esac'
    cloud.say(codes="74 0", wait=f"until [ -e $STAND_IN/xl-1.attempts ]; do sleep 0.05; done; {hang}")
    assert launcher().run(JOB) == 0
    commands = [line.split()[0] for line in (cloud.folder / "commands").read_text().splitlines()]
    assert sorted(commands) == ["xl-0", "xl-0", "xl-1", "xl-1"]


def test_a_failure_because_another_process_was_killed_is_no_failure(cloud):
    """The second worker's process is killed; the first one's ends with 1, as that of a peer does."""
    after = "until [ -e $STAND_IN/hosts/xl-1/ptune/xl.code ]; do sleep 0.05; done"
    cloud.say(codes="1 0", wait=f'case "$WORKER.$i" in xl-1.0) exit 137 ;; xl-0.0) {after} ;; esac')
    assert launcher().run(JOB) == 0
    assert results() == ["attempt 0", "attempt 1"] and cloud.verbs().count("create") == 1


def test_a_failure_because_the_tpu_is_going_away_is_a_preemption(cloud):
    cloud.say(codes="1 0", states=[["ACTIVE", "SUSPENDED"], ["ACTIVE"]])
    assert launcher().run(JOB) == 0
    assert cloud.verbs().count("create") == 2


def test_a_tpu_that_is_taken_away_is_replaced_and_what_was_fetched_is_put_on_the_new_one(cloud, capfd):
    """The first TPU goes while its command runs, after a fetch; the second one's attempt finds the first one's results."""
    cloud.say(codes="0 0", taken={"1": 6}, wait='test "$i" = 0 && sleep 5')
    assert launcher(fetch_minutes=0).run(JOB) == 0
    assert results() == ["attempt 0", "attempt 1"] and not cloud.has_tpu
    assert "xl: taken away" in capfd.readouterr().out


def test_preempted_more_often_than_max_restarts_ends_with_75(cloud):
    cloud.say(codes="75 75 75")
    assert launcher(max_restarts=1).run(JOB) == 75
    assert results() == ["attempt 0", "attempt 1"] and not cloud.has_tpu


def test_a_tpu_suspended_before_it_was_active_is_asked_for_again(cloud):
    cloud.say(states=[["PROVISIONING", "SUSPENDING"], ["ACTIVE"]])
    assert launcher().run(JOB) == 0
    assert cloud.verbs().count("create") == 2


def test_a_refused_request_is_a_mistake_and_leaves_nothing(cloud):
    cloud.say(fail={"create": ["quota exceeded"]})
    with pytest.raises(UserError, match="Google refused to create xl: .*quota exceeded"):
        launcher().run(JOB)
    assert cloud.verbs() == ["describe", "create"]


def test_a_failed_request_is_withdrawn(cloud):
    cloud.say(states=[["WAITING_FOR_RESOURCES", "FAILED"]])
    with pytest.raises(RunFailure, match="could not provide xl"):
        launcher().run(JOB)
    assert not cloud.has_tpu


@pytest.mark.parametrize("verb, said", [("scp", "no space left"), ("ssh", "permission denied")])
def test_when_installing_fails_the_tpu_is_given_back(cloud, verb, said):
    cloud.say(fail={verb: [said]})
    with pytest.raises(RunFailure, match=said):
        launcher().run(JOB)
    assert not cloud.has_tpu


def test_a_wheel_that_does_not_install_says_so(cloud):
    (cloud.folder / "installed").mkdir()  # so the stand-in for `uv pip install` fails, as a bad wheel would
    with pytest.raises(RunFailure, match="tpu-vm ssh xl ... ended with 2: .*installed"):
        launcher().run(JOB)
    assert not cloud.has_tpu


def test_a_broken_connection_is_tried_again(cloud, capfd):
    cloud.say(fail={"ssh": [None, None, None, "connection reset", "connection reset"]})
    assert launcher().run(JOB) == 0
    assert capfd.readouterr().out.count("step 1 of attempt 0") == 1


def test_results_that_cannot_be_fetched_keep_the_tpu_and_say_what_to_do(cloud, capfd):
    cloud.say(fail={"scp": [None, None, "connection reset"]})
    assert launcher().run(JOB) == 1
    assert cloud.has_tpu
    said = capfd.readouterr().err
    assert "gcloud compute tpus tpu-vm scp --recurse xl:ptune/xl launches/xl" in said
    assert "gcloud compute tpus queued-resources delete xl --force --zone=z --project=p" in said


def test_a_tpu_that_is_not_deleted_is_a_failure_that_says_what_it_costs(cloud, capfd):
    cloud.say(fail={"delete": ["internal error"]})
    assert launcher().run(JOB) == 1
    assert "xl was not deleted, and costs: " in capfd.readouterr().err and results() == ["attempt 0"]


def test_a_kept_tpu_says_how_to_give_it_back(cloud, capfd):
    assert launcher(keep=True).run(JOB) == 0
    assert cloud.has_tpu and "queued-resources delete xl" in capfd.readouterr().err


def test_a_tpu_deleted_by_someone_else_is_not_asked_for_again(cloud):
    (cloud.folder / "ptune.sh").write_text("gcloud compute tpus queued-resources delete xl --zone=z\nsleep 1\n")
    with pytest.raises(RunFailure, match="xl was deleted by someone else"):
        launcher().run(JOB)
    assert cloud.verbs().count("create") == 1


def test_interrupting_leaves_the_command_running_and_the_same_launch_follows_it(cloud):
    """The first launch gets ^C while the command waits for the file `go`; the second prints its end, and starts nothing."""
    cloud.say(wait="until [ -e $STAND_IN/go ]; do sleep 0.05; done")
    # Tests that run in the background have inherited that ^C is nothing to them.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "import test_gcloud as t; t.launcher().run(t.JOB)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    first = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    while "step 1" not in first.stdout.readline():
        pass
    first.send_signal(signal.SIGINT)
    assert "To give it back: gcloud compute tpus queued-resources delete xl" in first.communicate()[1]
    assert cloud.has_tpu
    (cloud.folder / "go").touch()
    assert launcher().run(JOB) == 0
    assert results() == ["attempt 0"] and not cloud.has_tpu and cloud.verbs().count("create") == 1


def test_slices_are_nodes_of_one_request_that_all_run_it(cloud):
    cloud.say(wait=ALL_FOUR)
    assert launcher(slices=2).run(JOB) == 0
    create = next(call for call in cloud.calls() if "create" in call)
    assert create[4:7] == ["xl", "--node-count=2", "--node-prefix=xl"]
    commands = (cloud.folder / "commands").read_text().splitlines()
    assert sorted(line.split()[0] for line in commands) == ["xl-0-0", "xl-0-1", "xl-1-0", "xl-1-1"]
    assert "env JAX_COORDINATOR_PORT=8476 ../venv" in shlex.join(launcher(slices=2).plan(JOB).commands[-4])


def test_setup_runs_before_the_command(cloud):
    setup = "mkdir -p runs/demo && echo mounted >>runs/demo/results"
    assert launcher(setup=(setup,), wheel="ptune @ git+https://example.org/ptune").run(JOB) == 0
    assert results() == ["mounted", "attempt 0"]
    assert "xl-0 ptune @ git+https://example.org/ptune" in (cloud.folder / "installed").read_text()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"accelerator": "tpu7x-8"}, "the Cloud TPU API does not serve tpu7x-8; use a cluster: --launcher jobset"),
        ({"accelerator": "h100-80gb-8"}, "the Cloud TPU API does not serve h100-80gb-8"),
        ({"accelerator": "v5e-16"}, "no accelerator 'v5e-16'; did you mean 'v5litepod-16'?"),
        ({"slices": 0}, "slices is 0, expected at least 1"),
        ({"spot": True, "reserved": True}, "a TPU is spot or reserved, not both"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(cloud, settings, message):
    with pytest.raises(UserError, match=message):
        launcher(**settings)


@pytest.mark.parametrize(
    "job, message",
    [
        (replace(JOB, shares=2), "2 shares need as many TPUs"),
        (replace(JOB, command=("train", "--output", "/tmp/x")), "--output /tmp/x would not be fetched"),
        (replace(JOB, command=("train", "--output=gs://b/x")), "--output gs://b/x would not be fetched"),
        (replace(JOB, command=("train", "--gin", "../cloud/../my.gin")), "outside this folder"),
    ],
)
def test_a_job_that_would_lose_its_results_or_its_files_is_refused(cloud, job, message):
    Path("below").mkdir()
    os.chdir("below")
    with pytest.raises(UserError, match=message):
        launcher(wheel="ptune[tasks]").plan(job)


def test_a_wheel_that_is_not_there_is_named_with_the_nearest(cloud):
    with pytest.raises(UserError, match="no wheel ptune-2-py3-none-any.whl; .*did you mean 'ptune-1-py3-none-any.whl'"):
        launcher(wheel="ptune-2-py3-none-any.whl").plan(JOB)


@pytest.mark.parametrize("name, slices, processes", [("v5litepod-16", 1, 4), ("v6e-8", 1, 1), ("v5p-16", 2, 4), ("v4-8", 1, 1)])
def test_a_process_is_a_machine(cloud, name, slices, processes):
    assert launcher(accelerator=name, slices=slices).processes == processes


def test_without_gcloud_it_is_said_what_is_missing(cloud, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UserError, match="gcloud is not installed"):
        launcher().run(JOB)
