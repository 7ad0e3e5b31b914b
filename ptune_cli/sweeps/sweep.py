"""`ptune sweep`: a grid of `ptune train`, as few runs as it can be, and one table and picture of all its points."""

from dataclasses import dataclass, field
from pathlib import Path

from ptune_cli.errors import UserError
from ptune_cli.gin_text import shown
from ptune_cli.launchers.job import Job, job_name
from ptune_cli.launchers.jobset import JobSet
from ptune_cli.launchers.slurm import Slurm
from ptune_cli.reports import sweep_figure, sweep_table
from ptune_cli.reports.sweep_results import Part, collect
from ptune_cli.sweeps.banks import Bank
from ptune_cli.sweeps.joining import groups, join, runs
from ptune_cli.sweeps.points import Point, expand
from ptune_cli.sweeps.running import run_all, say, show_plan, stoppable
from ptune_cli.sweeps.shares import Share


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Run `ptune train` at every point of a grid, and compare the results.

    Points of prompt tuning that differ in their prompt's length alone train together as one bank over one loaded model, with
    their seeds, and so do those that differ in their task, if target_length is set; the others are runs of their own, each
    with its seeds. A finished point is not run again, an unfinished run goes on where it stopped, and one that fails does not
    stop the others: of a bank that fails, each point runs alone.

    On a cluster, `--launcher slurm --shares 4` submits it as four jobs, each of which runs a fourth of the runs (`--share 0/4`,
    ...) and none waits for another. The one that ends last compares; so does the command without a launcher, at any time.

    Example: ptune sweep --gin sweeps/figure1.gin
    Example: ptune sweep --base runs/demo.gin --over "prompt.length=1 5 20" --output runs/lengths
    Example: ptune sweep --gin sweeps/figure1.gin --launcher slurm --launcher.gpus_per_task 1 --shares 4
    """

    output: str  # the folder of all the runs
    base: tuple[str, ...]  # gin files that every point reads
    over: tuple[str, ...]  # the axes: "NAME=VALUE VALUE", NAME a flag of `ptune train`, or gin for files of settings
    also_over: tuple[str, ...] = ()  # more axes, which come first; one of the same name in `over` gives way
    jobs: int = 1  # runs at once
    share: str | None = None  # I/N: only run I, I+N, I+2N, ... from 0, for processes on N machines
    launcher: Slurm | JobSet | None = None  # what starts the shares elsewhere; default: it runs here
    shares: int = 1  # jobs of the launcher
    dry_run: bool = field(default=False, metadata={"saved": False})  # list the points (or the launcher's files), and stop
    json: bool = field(default=False, metadata={"saved": False})  # print the results as JSON

    def __post_init__(self):
        for name in ("jobs", "shares"):
            if (given := getattr(self, name)) < 1:
                raise UserError(f"{name} is {given}, expected at least 1")
        if self.share is not None and self.launcher:
            raise UserError("share is what the launcher gives its jobs", "give --shares, how many there are")
        if self.shares > 1 and not self.launcher:
            raise UserError(f"shares is {self.shares}, and there is no launcher of so many jobs", "give --launcher")
        if self.launcher and self.launcher.processes > 1:
            raise UserError("a share of a sweep is one process", "give a launcher of one, and --shares")

    def run(self) -> int:
        """Run what is not finished; write and print the comparison. Exit code 1 if a point failed."""
        points = expand(self.base, self.axes(), self.output)
        if self.launcher:
            return self._launch(self.launcher, len(list(groups(points))))
        joined = join(points if self.share is None else Share.parse(self.share).of(points))
        if self.dry_run:
            show_plan(runs(joined))
            return 0
        with stoppable():
            failed = self._train(joined)
        if self.share is not None:
            joined = join(points)
            if left := [run.name for run in runs(joined) if not run.finished()]:
                say(f"no comparison: {len(left)} runs are not finished")
                return 1 if failed else 0
        self._compare([_part(point, joined[point.name]) for point in points if point.name not in failed])
        return 1 if failed else 0

    def axes(self) -> tuple[str, ...]:
        """All axes, in the order in which they make the grid."""
        named = {axis.partition("=")[0] for axis in self.also_over}
        return (*self.also_over, *(axis for axis in self.over if axis.partition("=")[0] not in named))

    def _launch(self, launcher: Slurm | JobSet, most: int) -> int:
        """Have it run elsewhere, in `most` jobs at most."""
        given = {"output": self.output, "jobs": str(self.jobs)}
        given |= {name: shown(value) for name in ("base", "over", "also_over") if (value := getattr(self, name))}
        command = ("sweep", *(word for name, value in given.items() for word in (f"--{name}", value)))
        job = Job(job_name("sweep", self.output), command, Path(self.output) / "launches", min(self.shares, most))
        if not self.dry_run:
            return launcher.run(job)
        print(launcher.plan(job).text())
        return 0

    def _compare(self, parts: list[Part]) -> None:
        if parts:
            results = collect(parts)
            figures = sweep_figure.draw(results, Path(self.output))
            sweep_table.write(results, Path(self.output))
            sweep_table.show(results, figures, self.json)

    def _train(self, joined: dict[str, Point | Bank]) -> set[str]:
        """Run what is not finished, and of a bank that fails each point alone, as `joined` says from then on.

        Returns the names of the points that failed.
        """
        failed = run_all(runs(joined), self.jobs)
        alone = [point for run in failed if isinstance(run, Bank) for point in run.points]
        if alone:
            say("of what failed together, each point alone:")
            joined |= {point.name: point for point in alone}
            failed = [run for run in failed if isinstance(run, Point)] + run_all(alone, self.jobs)
        return {run.name for run in failed}


def _part(point: Point, run: Point | Bank) -> Part:
    """Where the point's results are."""
    return Part(point.labels, run.folder, run.members(point) if isinstance(run, Bank) else None)
