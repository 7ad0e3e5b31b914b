"""Runs the points of a grid, each in a process of its own: none stops another, and all are stopped together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

from ptune_cli.errors import Preempted
from ptune_cli.sweeps.points import Point


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM raises Preempted in the body, which ends the command with exit code 75."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_all(points: Sequence[Point], jobs: int) -> list[Point]:
    """Run the points that are not finished, `jobs` at once; returns those that failed. What ends this ends the runs first."""
    left = [point for point in points if not point.finished()]
    total, running = len(points), set[subprocess.Popen]()
    failed, done = [], total - len(left)
    say(f"{total} points, {done} finished")
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(_run, point, running): point for point in left}
        try:
            for future in as_completed(futures):
                point, (code, seconds), done = futures[future], future.result(), done + 1
                say(f"[{done}/{total}] {point.name}: {_outcome(point, code)} ({seconds:.0f} s)")
                failed += [point] if code else []
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in tuple(running):
                process.terminate()  # a run saves itself, and ends
            raise
    return failed


def show_plan(points: Sequence[Point]) -> None:
    """Print the command of each point, and whether it is still to run."""
    for point in points:
        print(f"{state(point.finished())}  ptune train {' '.join(point.arguments)}")


def state(finished: bool) -> str:
    """A word of a plan, as wide as the other."""
    return "finished" if finished else "to run  "


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


def _run(point: Point, running: set[subprocess.Popen]) -> tuple[int, float]:
    """Exit code and seconds of a point's process."""
    began = time.monotonic()
    command = [sys.executable, "-P", "-m", "ptune_cli.cli", "train", *point.arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
    point.log.parent.mkdir(parents=True, exist_ok=True)
    with open(point.log, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        running.add(process)
        try:
            return process.wait(), time.monotonic() - began
        finally:
            running.discard(process)


def _outcome(point: Point, code: int) -> str:
    if not code:
        return "done"
    lines = point.log.read_text("utf-8", "replace").strip().splitlines()
    return f"failed with exit code {code}: {lines[-1] if lines else ''} (see {point.log})"


def _stop(*_: object) -> None:
    raise Preempted("stopped; run the same command again to go on")
