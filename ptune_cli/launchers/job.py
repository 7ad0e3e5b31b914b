"""What every launcher is given, and what it plans: a command that is safe to start again, as files and command lines.

A launcher is a dataclass with `plan(job)`, which only computes, so that `--dry-run` can print it; and `run(job)`,
which writes the plan's files, runs its commands, and returns an exit code. Waiting for a machine is the business of the scheduler
(SLURM, Kueue, Google's queue): ptune has none.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ptune_cli.errors import UserError

NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")  # what Kubernetes, Google and SLURM all take


def job_name(command: str, output: str | Path | None) -> str:
    """What a job is called that nobody named: "train-demo", after its command and the last part of its output folder."""
    words = f"{command}-{Path(output or '').name}".lower()
    return re.sub(r"[^a-z0-9]+", "-", words)[:40].strip("-")


@dataclass(frozen=True)
class Job:
    """One command line of ptune, without the word `ptune`, as ("train", "--gin", "runs/demo.gin").

    Its processes run it together, each with the same arguments. A job of several `shares` is an array: the i-th runs the command
    with `--share i/shares` behind it, and none waits for another.
    """

    name: str  # what the scheduler shows, and what files are called
    command: tuple[str, ...]
    folder: Path  # of the launcher's files and logs
    shares: int = 1

    def __post_init__(self):
        if not NAME.fullmatch(self.name):
            raise UserError(f"a job cannot be named '{self.name}'", "use a-z, 0-9 and -, a letter first, 40 characters at most")
        if self.shares < 1:
            raise UserError(f"shares is {self.shares}, expected at least 1")


@dataclass(frozen=True)
class Plan:
    """What a launcher does: files, written first, and the commands, in order."""

    files: Mapping[Path, str] = field(default_factory=dict)
    commands: tuple[tuple[str, ...], ...] = ()

    def text(self) -> str:
        """The files and command lines as one would type them."""
        files = [f"# {path}\n{content.rstrip()}\n" for path, content in self.files.items()]
        return "\n".join([*files, *map(shlex.join, self.commands)])


class Launcher(Protocol):
    """One way to get machines."""

    @property
    def processes(self) -> int:
        """How many run a job together."""
        ...

    def plan(self, job: Job) -> Plan:
        """Files and command lines. UserError for a job or a machine that cannot be."""
        ...

    def run(self, job: Job) -> int:
        """Do what is planned, and see it through. Returns the exit code, as `ptune --help` lists them."""
        ...
