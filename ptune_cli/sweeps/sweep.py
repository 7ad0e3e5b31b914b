"""`ptune sweep`: a grid of runs of `ptune train`, each in a process of its own, and one table and picture of them all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from ptune_cli.errors import Preempted, UserError
from ptune_cli.reports import sweep_figure, sweep_table
from ptune_cli.reports.sweep_results import collect
from ptune_cli.sweeps.points import Point, expand


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Run `ptune train` at every point of a grid, and compare the results.

    Seeds (and tasks and prompt lengths, where a point lists several) train together over one loaded model. A finished point is
    not run again, an unfinished one goes on where it stopped, and one that fails does not stop the others.

    Example: ptune sweep --gin sweeps/size_curve.gin
    Example: ptune sweep --base runs/demo.gin --over "prompt.length=1 5 20" --output runs/lengths
    """

    output: str  # the folder of all the runs
    base: tuple[str, ...]  # gin files that every point reads
    over: tuple[str, ...]  # the axes: "NAME=VALUE VALUE", NAME a flag of `ptune train`, or gin for files of settings
    jobs: int = 1  # runs at once
    dry_run: bool = field(default=False, metadata={"saved": False})  # list the points, and stop
    json: bool = field(default=False, metadata={"saved": False})  # print the results as JSON

    def __post_init__(self):
        if self.jobs < 1:
            raise UserError(f"jobs is {self.jobs}, expected at least 1")

    def run(self) -> int:
        """Run what is not finished; write and print the comparison. Exit code 1 if a point failed."""
        points = expand(self.base, self.over, self.output)
        left = [point for point in points if not point.finished()]
        if self.dry_run:
            for point in points:
                print(f"{'to run  ' if point in left else 'finished'}  ptune train {' '.join(point.arguments)}")
            return 0
        failed = self._run_all(left, len(points))
        finished = [point for point in points if point not in failed]
        if finished:
            results = collect([(point.labels, point.folder) for point in finished])
            figures = sweep_figure.draw(results, Path(self.output))
            sweep_table.write(results, Path(self.output))
            sweep_table.show(results, figures, self.json)
        return 1 if failed else 0

    def _run_all(self, left: Sequence[Point], total: int) -> list[Point]:
        """Runs points, `jobs` at once; returns those that failed. Preempted if SIGTERM came; the runs are stopped first."""
        _say(f"{total} points, {total - len(left)} finished")
        running: set[subprocess.Popen] = set()
        failed, done = [], total - len(left)
        before = signal.signal(signal.SIGTERM, _stop)
        try:
            with ThreadPoolExecutor(self.jobs) as pool:
                futures = {pool.submit(_run, point, running): point for point in left}
                try:
                    for future in as_completed(futures):
                        point, (code, seconds), done = futures[future], future.result(), done + 1
                        _say(f"[{done}/{total}] {point.name}: {_outcome(point, code)} ({seconds:.0f} s)")
                        failed += [point] if code else []
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    for process in tuple(running):
                        process.terminate()  # a run saves itself, and ends
                    raise
        finally:
            signal.signal(signal.SIGTERM, before)
        return failed


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


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
