"""Processes on this machine, started again together when one of them dies."""

import os
import signal
import socket
import sys
from dataclasses import dataclass

from ptune_cli.errors import UserError
from ptune_cli.launchers import gang
from ptune_cli.launchers.command_line import argv
from ptune_cli.launchers.job import Job, Plan
from ptune_cli.launchers.signals import signals

HUNG, ABORTED = 74, 134  # what a process ends with that has waited too long for another, or learns that another is gone


@dataclass(frozen=True, kw_only=True)
class Local:
    """Processes on this machine, which listen on its loopback alone.

    When one dies (of a signal, or because it waited too long for another) all end, and start again where the run was saved;
    a failure of its own (exit codes 1 and 2) is the end of all.
    """

    processes: int = 2  # one: it is only restarted
    devices_per_process: int | None = None  # on the CPU: so many, to try out a mesh; default: what JAX finds
    max_restarts: int = 3

    def __post_init__(self):
        for name, least in (("processes", 1), ("devices_per_process", 1), ("max_restarts", 0)):
            if (given := getattr(self, name)) is not None and given < least:
                raise UserError(f"{name} is {given}, expected at least {least}")

    def plan(self, job: Job) -> Plan:
        """A command for each process. UserError for a job that is an array."""
        return Plan(commands=self._commands(job, "PORT"))

    def run(self, job: Job) -> int:
        """Run the processes, again and again if need be. Returns their exit code, or 75 or 130 if a signal came meanwhile."""
        with signals() as asked:
            for start in range(self.max_restarts + 1):
                code = gang.run(self._commands(job, str(free_port())), asked)
                if code in (0, 1, 2):
                    return code
                if asked.first:
                    return 130 if asked.first == signal.SIGINT else 75
                if not _died(code):
                    break
                _say(code, start, self.max_restarts)
            return code if code > 0 else 128 - code

    def _commands(self, job: Job, port: str) -> tuple[tuple[str, ...], ...]:
        if job.shares > 1:
            raise UserError("shares of a sweep run on this machine without a launcher", "give --jobs")
        if self.processes == 1:
            return ((*self._devices(), *argv(job.command)),)
        address = f"127.0.0.1:{port}"
        variables = ("env", f"JAX_COORDINATOR_BIND_ADDRESS={address}", *self._devices()[1:])
        flags = ("--processes.coordinator", address, "--processes.count", str(self.processes), "--processes.index")
        return tuple((*variables, *argv(job.command, *flags, str(index))) for index in range(self.processes))

    def _devices(self) -> tuple[str, ...]:
        if self.devices_per_process is None:
            return ()
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={self.devices_per_process}"
        return ("env", f"XLA_FLAGS={flags.strip()}")


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _died(code: int) -> bool:
    """Whether a process ended in a way that it may not end in again."""
    return code < 0 or code in (HUNG, ABORTED)


def _say(code: int, starts: int, most: int) -> None:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    then = f"restart {starts + 1} of {most}" if starts < most else f"after {most} restarts, that is all"
    print(f"ptune: a process ended with {how}: {then}", file=sys.stderr, flush=True)
