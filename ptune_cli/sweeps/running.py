"""Runs the runs of a grid, each in a process of its own: none stops another, and all are stopped together."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

from ptune_cli.errors import Preempted
from ptune_cli.launchers.command_line import argv, environment
from ptune_cli.sweeps.banks import Bank
from ptune_cli.sweeps.points import Point, Run


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM raises Preempted in the body, which ends the command with exit code 75."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_all(runs: Sequence[Point | Bank], jobs: int) -> list[Point | Bank]:
    """Run those that are not finished, `jobs` at once; returns those that failed. What ends this ends the runs first."""
    left = [run for run in runs if not run.finished()]
    total, running = _points(runs), set[subprocess.Popen]()
    failed, done = [], total - _points(left)
    say(f"{total} points, {done} finished")
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(_run, run, running): run for run in left}
        try:
            for future in as_completed(futures):
                run, (code, seconds) = futures[future], future.result()
                done += len(run.points)
                say(f"[{done}/{total}] {run.name}: {_outcome(run, code)} ({seconds:.0f} s)")
                failed += [run] if code else []
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in tuple(running):
                process.terminate()  # a run saves itself, and ends
            raise
    return failed


def show_plan(runs: Iterable[Run]) -> None:
    """Print the command of each run, and whether it is still to be done."""
    for run in runs:
        print(f"{state(run.finished())}  ptune train {' '.join(run.arguments)}")


def state(finished: bool) -> str:
    """A word of a plan, as wide as the other."""
    return "finished" if finished else "to run  "


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


def _points(runs: Sequence[Point | Bank]) -> int:
    return sum(len(run.points) for run in runs)


def _run(run: Run, running: set[subprocess.Popen]) -> tuple[int, float]:
    """Exit code and seconds of a run's process."""
    began = time.monotonic()
    command = argv(("train", *run.arguments))
    run.log.parent.mkdir(parents=True, exist_ok=True)
    with open(run.log, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment())
        running.add(process)
        try:
            return process.wait(), time.monotonic() - began
        finally:
            running.discard(process)


def _outcome(run: Run, code: int) -> str:
    if not code:
        return "done"
    lines = run.log.read_text("utf-8", "replace").strip().splitlines()
    return f"failed with exit code {code}: {lines[-1] if lines else ''} (see {run.log})"


def _stop(*_: object) -> None:
    raise Preempted("stopped; run the same command again to go on")
