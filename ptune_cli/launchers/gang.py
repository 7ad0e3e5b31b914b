"""Processes that work together, so that the end of one is the end of all; none of them outlives this process."""

import ctypes
import functools
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from ptune_cli.launchers.command_line import environment
from ptune_cli.launchers.lines import Lines
from ptune_cli.launchers.signals import Signals

LOOK = 0.05  # seconds between two looks at the processes
BY_THEMSELVES = 4.0  # seconds that the others have to end after the first that failed
TOLD = 5.0  # and after SIGTERM, before SIGKILL
_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
_LIBC = ctypes.CDLL(None)  # loaded before the fork


def run(commands: Sequence[Sequence[str]], asked: Signals) -> int:
    """Start them and see them to their end. Returns 0, or the exit code (a signal is negative) of the one that failed first.

    What they print goes to standard error, each line behind the number of its process; but what process 0 prints on standard
    output goes there as it is. The signal that was asked for is passed on, once.
    """
    passed_on = False
    with Gang(commands) as gang:
        while None in (codes := gang.codes()) and not any(codes):  # not one has failed
            if asked.first and not passed_on:
                gang.pass_on(asked.first)
                passed_on = True
            gang.relay(LOOK)
        gang.wait(BY_THEMSELVES)
        return cause([code for code in gang.codes() if code])


def cause(codes: Sequence[int]) -> int:
    """Of processes that ended by themselves, the one because of which the others did. 0 of none.

    It may end last, so as to say why. Its peers end with 1, as their collective or it itself tells them, or JAX aborts them.
    """
    consequences = {1: 1, -signal.SIGABRT: 2, 128 + signal.SIGABRT: 2}
    return min(codes, key=lambda code: consequences.get(code, 0), default=0)


class Gang:
    """Running processes, numbered. A context manager that leaves none of them, nor of their children."""

    def __init__(self, commands: Sequence[Sequence[str]]):
        self._processes: list[subprocess.Popen[bytes]] = []
        self._pipes = selectors.DefaultSelector()
        try:
            for number, command in enumerate(commands):
                self._start(number, command)
        except BaseException:
            self._kill()
            raise

    def codes(self) -> list[int | None]:
        """The exit code of each; None for one that runs."""
        return [process.poll() for process in self._processes]

    def pass_on(self, number: int) -> None:
        """A signal to each that runs; what it has started is its own affair."""
        for process in self._processes:
            process.send_signal(number)

    def relay(self, seconds: float) -> None:
        """Pass on what they print, waiting so long at most for something."""
        for key, _ in self._pipes.select(seconds):
            if not key.data.read():
                self._pipes.unregister(key.fileobj)

    def wait(self, seconds: float) -> None:
        """Until all have ended, or so long."""
        until = time.monotonic() + seconds
        while None in self.codes() and time.monotonic() < until:
            self.relay(LOOK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if error is None:
                self._signal(signal.SIGTERM)
                self.wait(TOLD)
        finally:
            self._kill()

    def _start(self, number: int, command: Sequence[str]) -> None:
        output = (None, subprocess.PIPE) if number == 0 else (subprocess.PIPE, subprocess.STDOUT)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output[0],
            stderr=output[1],
            env=environment(),
            start_new_session=True,  # ^C comes to this process alone, which passes it on; and its children are a group
            preexec_fn=functools.partial(_end_with, os.getpid()) if sys.platform == "linux" else None,
        )
        self._processes.append(process)
        pipe = process.stdout or process.stderr
        assert pipe
        self._pipes.register(pipe, selectors.EVENT_READ, Lines(pipe, number))

    def _signal(self, number: int) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):  # it has ended, and so has all that it started
                os.killpg(process.pid, number)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()
        while self._pipes.select(0):  # their last words
            self.relay(0)
        self._pipes.close()


def _end_with(parent: int) -> None:
    """Linux kills this process when its parent ends, in whatever way. Runs between fork and exec."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)
