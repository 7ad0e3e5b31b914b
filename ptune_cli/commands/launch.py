"""`ptune launch`: a command of ptune as several processes, on this machine or on others, restarted when one of them dies."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from ptune_cli.errors import UserError
from ptune_cli.launchers.command_line import explained
from ptune_cli.launchers.gcloud import Gcloud
from ptune_cli.launchers.job import Job, Plan, job_name
from ptune_cli.launchers.jobset import JobSet
from ptune_cli.launchers.local import Local
from ptune_cli.launchers.slurm import Slurm


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Run a command of ptune as several processes that work together, here or on a cluster, started again when one dies.

    The command is checked first, so that a mistake in it ends here (exit code 2), and not on each of the machines. It goes on
    where it was saved whenever it starts again, so nothing is lost by a process or a machine that dies.

    Exit codes are those of the command: 0 done, 1 failed, 2 a mistake, 75 told to stop, and saved. When a process ends with 74
    (it waited too long for another), with 134 (another died) or by a signal, all of them start again. A job of SLURM that ends
    with 75 goes back into the queue, too. One that is only submitted: 0.

    Example: ptune launch --launcher local -- train --gin runs/demo.gin
    Example: ptune launch --launcher slurm --launcher.nodes 2 --launcher.time 12:00:00 --dry_run -- train --gin runs/demo.gin
    """

    command: tuple[str, ...] = field(default=(), metadata={"positional": True})  # of ptune, behind --
    launcher: Local | Slurm | JobSet | Gcloud
    name: str | None = None  # of the job; default: the command and its output folder, as train-demo
    folder: str | None = None  # of its script and logs; default: launches/NAME beside the output folder
    dry_run: bool = field(default=False, metadata={"saved": False})  # print the files and commands, and stop
    json: bool = field(default=False, metadata={"saved": False})  # of --dry_run: print them as JSON

    def run(self) -> int | None:
        """Check the command, and launch it. Returns its exit code."""
        job = self.job()
        if not self.dry_run:
            return self.launcher.run(job)
        print(as_json(self.launcher.plan(job)) if self.json else self.launcher.plan(job).text())

    def job(self) -> Job:
        """What is to be launched. UserError for a command that would refuse its arguments, or that is one process alone."""
        if not self.command:
            raise UserError("no command", "give it behind --, as in: ptune launch --launcher local -- train --gin runs/demo.gin")
        if self.command[0] == "launch" or any(word.startswith("--processes") for word in self.command):
            raise UserError("the command is to be launched already", "leave out launch and --processes, which are the launcher's")
        values = explained(self.command)
        if self.launcher.processes > 1 and "processes" not in values:
            raise UserError(f"ptune {self.command[0]} runs in one process", "give a launcher of one")
        output = values.get("output")
        name = self.name or job_name(self.command[0], output)
        return Job(name, self.command, Path(self.folder or Path(output or "").parent / "launches" / name))


def as_json(plan: Plan) -> str:
    """{"files": {path: content}, "commands": [[word, ...], ...]}."""
    files = {str(path): content for path, content in plan.files.items()}
    return json.dumps({"files": files, "commands": plan.commands}, indent=2)
