"""Jobs of SLURM: one batch script, submitted by sbatch, that puts itself back into the queue until the run is done."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from ptune_cli.errors import UserError
from ptune_cli.launchers.command_line import argv
from ptune_cli.launchers.job import Job, Plan

# Seconds that processes have to end after the first. SLURM's own way, at once, would kill the one whose mistake it was, which
# tells the others first; and a kill is no exit code to stop at.
WAIT = 60
# 74: hung; 75: told to stop, and saved; above 128: killed, or a peer was. The others would end in the same way again.
_AGAIN = """\
code=$?
if [ $code -eq 74 ] || [ $code -eq 75 ] || [ $code -gt 128 ]; then
  if [ "${{SLURM_RESTART_COUNT:-0}}" -lt {most} ]; then
    echo "ptune: exit code $code: the job goes back into the queue"
    scontrol requeue "{job}" && sleep 300  # SLURM ends this script
  else
    echo "ptune: exit code $code after {most} requeues: that is all"
  fi
fi
exit $code
"""


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """Jobs of a SLURM cluster, whose nodes see this folder.

    A job that is told to stop (before its time is over, or because another goes first) saves, and goes back into the queue; so
    does one of which a process or a node died. Exit codes 1 and 2 are final.
    """

    nodes: int = 1
    tasks_per_node: int = 1  # processes of a node
    cpus_per_task: int | None = None
    gpus_per_task: int | None = None
    gres: str | None = None  # what else a node must have, as gpu:a100:4
    time: str | None = None  # the limit, as 12:00:00
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    extra: tuple[str, ...] = ()  # more options of sbatch, as --launcher.extra=--constraint=a100,--exclusive
    setup: tuple[str, ...] = ()  # lines of shell before it starts, as "source venv/bin/activate"
    python: str | None = None  # default: the Python of this command
    at_once: int | None = None  # jobs of an array that run at the same time
    requeue: bool = True
    max_requeues: int = 20
    notice: int = 120  # seconds before the end of its time at which a job is told to stop
    wait: bool = False  # until it has ended, and return its exit code

    def __post_init__(self):
        for name in ("nodes", "tasks_per_node", "cpus_per_task", "gpus_per_task", "at_once", "notice"):
            if (given := getattr(self, name)) is not None and given < 1:
                raise UserError(f"{name} is {given}, expected at least 1")
        if bad := [option for option in self.extra if not option.startswith("-")]:
            raise UserError(f"extra has '{bad[0]}', which is no option of sbatch", "expected --NAME=VALUE")

    @property
    def processes(self) -> int:
        """How many run a job together."""
        return self.nodes * self.tasks_per_node

    def plan(self, job: Job) -> Plan:
        """The batch script, and the command that submits it."""
        script = job.folder / f"{job.name}.sbatch"
        wait = ("--wait",) if self.wait else ()
        return Plan({script: self._script(job)}, (("sbatch", "--parsable", *wait, str(script)),))

    def run(self, job: Job) -> int:
        """Write the script, submit it, and say how to follow it. Returns 0, or what it ends with if this is to wait for it."""
        plan = self.plan(job)
        job.folder.mkdir(parents=True, exist_ok=True)
        for path, content in plan.files.items():
            path.write_text(content, encoding="utf-8")
        try:
            sbatch = subprocess.Popen(plan.commands[0], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError:
            raise UserError("there is no sbatch here", f"submit {next(iter(plan.files))} where SLURM is") from None
        with sbatch:
            assert sbatch.stdout and sbatch.stderr
            submitted = sbatch.stdout.readline().partition(";")[0].strip()  # NUMBER;CLUSTER where there are several
            if submitted:
                _tell(submitted, job)
            code, errors = sbatch.wait(), sbatch.stderr.read().strip()
        if not submitted:
            raise UserError(f"sbatch: {errors.removeprefix('sbatch: ')}")
        return code

    def _script(self, job: Job) -> str:
        options = "".join(f"#SBATCH {_option(option)}\n" for option in self._options(job))
        setup = "".join(f"{line}\n" for line in ("set -e", *self.setup, "set +e", "")) if self.setup else ""
        again = _AGAIN.format(most=self.max_requeues, job=_number(job)) if self.requeue else ""
        return f"#!/bin/bash\n{options}\n{setup}{self._srun(job)}\n{again}"

    def _options(self, job: Job) -> Iterator[str]:
        yield f"--job-name={job.name}"
        yield f"--nodes={self.nodes}"
        yield f"--ntasks-per-node={self.tasks_per_node}"
        for name in ("cpus_per_task", "gpus_per_task", "gres", "time", "partition", "account", "qos"):
            if (given := getattr(self, name)) is not None:
                yield f"--{name.replace('_', '-')}={given}"
        if job.shares > 1:
            yield f"--array=0-{job.shares - 1}" + (f"%{self.at_once}" if self.at_once else "")
        yield f"--chdir={os.getcwd()}"
        yield f"--output={_log(job, *(('%A', '%a') if job.shares > 1 else ('%j',)))}"
        yield "--open-mode=append"
        yield "--requeue" if self.requeue else "--no-requeue"
        yield f"--signal=TERM@{self.notice}"
        yield from self.extra

    def _srun(self, job: Job) -> str:
        command = argv(job.command, python=self.python or sys.executable)
        srun = ["srun", "--kill-on-bad-exit=0", f"--wait={WAIT}"]
        if self.processes > 1:
            srun.append("--label")
        if self.cpus_per_task:  # which a step does not take from its job
            srun.append(f"--cpus-per-task={self.cpus_per_task}")
        share = f' --share "$SLURM_ARRAY_TASK_ID/{job.shares}"' if job.shares > 1 else ""
        return shlex.join([*srun, *command]) + share


def _option(text: str) -> str:
    """An option as sbatch reads it from a script, which it does as a shell would."""
    if "\n" in text:
        raise UserError(f"{text!r} has more than one line, and cannot be an option of sbatch")
    return shlex.quote(text)


def _number(job: Job) -> str:
    """What the job is called in its own script. The plain number of an array's last job is that of the whole array."""
    return "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" if job.shares > 1 else "$SLURM_JOB_ID"


def _log(job: Job, *number: str) -> str:
    """The log's path for sbatch, to which % means something."""
    return f"{str(job.folder).replace('%', '%%')}/{job.name}-{'_'.join(number)}.log"


def _tell(number: str, job: Job) -> None:
    log = shlex.quote(f"{job.folder}/{job.name}-{number}{'_0' if job.shares > 1 else ''}.log")
    what = f"job {number}, {job.shares} of them" if job.shares > 1 else f"job {number}"
    print(f"submitted {what}\n  squeue --jobs {number}\n  tail -F {log}\n  scancel {number}", flush=True)
