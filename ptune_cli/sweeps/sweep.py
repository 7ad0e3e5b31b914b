"""`ptune sweep`: a grid of `ptune train`, as few runs as it can be, and one table and picture of all its points."""

from dataclasses import dataclass, field
from pathlib import Path

from ptune_cli.errors import UserError
from ptune_cli.reports import sweep_figure, sweep_table
from ptune_cli.reports.sweep_results import Part, collect
from ptune_cli.sweeps.banks import Bank
from ptune_cli.sweeps.joining import join, runs
from ptune_cli.sweeps.points import Point, expand
from ptune_cli.sweeps.running import run_all, say, show_plan, stoppable


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Run `ptune train` at every point of a grid, and compare the results.

    Points of prompt tuning that differ in their prompt's length alone train together as one bank over one loaded model, with
    their seeds, and so do those that differ in their task, if target_length is set; the others are runs of their own, each
    with its seeds. A finished point is not run again, an unfinished run goes on where it stopped, and one that fails does not
    stop the others: of a bank that fails, each point runs alone.

    Example: ptune sweep --gin sweeps/figure1.gin
    Example: ptune sweep --base runs/demo.gin --over "prompt.length=1 5 20" --output runs/lengths
    """

    output: str  # the folder of all the runs
    base: tuple[str, ...]  # gin files that every point reads
    over: tuple[str, ...]  # the axes: "NAME=VALUE VALUE", NAME a flag of `ptune train`, or gin for files of settings
    also_over: tuple[str, ...] = ()  # more axes, which come first; one of the same name in `over` gives way
    jobs: int = 1  # runs at once
    dry_run: bool = field(default=False, metadata={"saved": False})  # list the points, and stop
    json: bool = field(default=False, metadata={"saved": False})  # print the results as JSON

    def __post_init__(self):
        if self.jobs < 1:
            raise UserError(f"jobs is {self.jobs}, expected at least 1")

    def run(self) -> int:
        """Run what is not finished; write and print the comparison. Exit code 1 if a point failed."""
        points = expand(self.base, self.axes(), self.output)
        joined = join(points)
        if self.dry_run:
            show_plan(runs(joined))
            return 0
        with stoppable():
            failed = self._train(joined)
        finished = [_part(point, joined[point.name]) for point in points if point.name not in failed]
        if finished:
            results = collect(finished)
            figures = sweep_figure.draw(results, Path(self.output))
            sweep_table.write(results, Path(self.output))
            sweep_table.show(results, figures, self.json)
        return 1 if failed else 0

    def axes(self) -> tuple[str, ...]:
        """All axes, in the order in which they make the grid."""
        named = {axis.partition("=")[0] for axis in self.also_over}
        return (*self.also_over, *(axis for axis in self.over if axis.partition("=")[0] not in named))

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
