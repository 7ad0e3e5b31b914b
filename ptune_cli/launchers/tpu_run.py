"""One command on one TPU, from asking for the TPU to giving it back, over preemptions.

acquire -> install, send -> start -> look, look, ... -> exit code -> fetch -> give back
   ^                                     |
   +-- fetch what is there, delete, if it was preempted
"""

import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from ptune_cli.errors import RunFailure, UserError
from ptune_cli.launchers import remote
from ptune_cli.launchers.programs import ProgramFailed, output
from ptune_cli.launchers.tpu_job import TpuJob
from ptune_cli.launchers.tpu_lease import MISSES, Lease, Taken
from ptune_cli.launchers.tpu_vm import Command

PREEMPTED = 75  # ptune's exit code when it was told to stop, and has saved
HUNG = 74  # when it waited too long for another process


@dataclass(kw_only=True)
class TpuRun:
    """A command and its TPU."""

    lease: Lease
    job: TpuJob
    max_restarts: int
    fetch_seconds: float
    keep: bool
    _started: bool = field(default=False, init=False)  # so its results are on the TPU
    _position: int = field(default=0, init=False)  # bytes of the log that are printed

    def to_the_end(self) -> int:
        """The command's exit code. RunFailure or UserError if Google or the network fails.

        The TPU is given back in any case, unless its results could not be fetched."""
        for path, text in self.job.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        try:
            code = self._attempts()
        except (RunFailure, UserError):
            self._end()
            raise
        return code if self._end() else code or 1

    def _attempts(self) -> int:
        """The exit code of the last one."""
        code = PREEMPTED
        for _ in range(self.max_restarts + 1):
            try:
                code = self._attempt()
            except Taken:
                print(f"{self.job.name}: taken away", flush=True)
                code = PREEMPTED
            if not (code in (PREEMPTED, HUNG, remote.VANISHED) or code > 128):  # above 128: killed, or another process was
                break
            print("the command vanished" if code == remote.VANISHED else f"the command ended with {code}", flush=True)
            if code == PREEMPTED:  # this TPU is on its way out; otherwise the next attempt is on the same one
                self._fetch()
                self.lease.delete()
                self._started = False
        return 1 if code == remote.VANISHED else code

    def _attempt(self) -> int:
        """Run on the TPU, a new one if there is none; the exit code."""
        if not self._started:
            found = self.lease.acquire()
            log = self.job.copy / "log.txt"
            self._position = log.stat().st_size if log.is_file() else 0
            self._started = found and self._look().code != remote.VANISHED  # by an earlier launch, which was interrupted
            if not self._started:
                self._each(self.job.preparing())
                self._start()
        else:
            self._each(self.job.stopping())
            self._start()
        code = self._watch()
        return self._cause() if code == 1 else code

    def _start(self) -> None:
        self._each(self.job.starting())
        self._started = True

    def _cause(self) -> int:
        """The exit code of the process because of which the first one ended with 1; Taken if its machine is gone."""
        self.lease.check()
        lines = [line for command in self.job.asking() for line in output(command).splitlines() if remote.MARK in line]
        return next((code for code in (remote.Seen.read(line).code for line in lines) if code not in (None, 0, 1)), 1)

    def _each(self, commands: Iterable[Command]) -> None:
        for command in commands:
            try:
                output(command)
            except ProgramFailed:
                self.lease.check()
                raise

    def _watch(self) -> int:
        """Print the log as it grows, and fetch now and then, until there is an exit code."""
        fetched = time.monotonic()
        while (seen := self._look()).code is None:
            if time.monotonic() - fetched > self.fetch_seconds:
                self._fetch()
                fetched = time.monotonic()
            time.sleep(self.lease.poll)
        return seen.code

    def _look(self) -> remote.Seen:
        """Ask, again if the connection breaks; Taken if the TPU is gone."""
        for _ in range(MISSES):
            try:
                seen = remote.Seen.read(output(self.job.looking(self._position)))
                break
            except (ProgramFailed, ValueError) as failure:
                self.lease.check()
                broken = failure
                time.sleep(self.lease.poll)
        else:
            raise RunFailure(f"{self.job.name} does not answer: {broken}")
        log = seen.log.encode(errors="surrogateescape")
        print(log.decode(errors="replace"), end="", flush=True)
        self._position += len(log)
        return seen

    def _fetch(self) -> bool:
        """Copy the results whole, or leave the earlier copy as it is."""
        incoming = self.job.folder / ".incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(parents=True)
        try:
            output(self.job.fetching(incoming))
        except ProgramFailed as failure:
            print(f"ptune: the results were not fetched: {failure.said}", file=sys.stderr)
            return False
        shutil.rmtree(self.job.copy, ignore_errors=True)
        (incoming / self.job.name).rename(self.job.copy)
        incoming.rmdir()
        return True

    def _end(self) -> bool:
        """Fetch and give back; False, with what to do, if either fails."""
        if self.lease.held and self._started and not self._fetch():
            delete = " ".join(self.job.machine.delete())
            print(f"ptune: {self.job.name} still has them, and costs. Try: {' '.join(self.job.fetching(self.job.folder))}; "
                  f"and then: {delete}", file=sys.stderr)  # fmt: skip
            return False
        return self.lease.give_back(self.keep)
