"""`ptune sweep`: a grid of runs of `ptune train`, each in a process of its own, and one table and picture of them all."""

from dataclasses import dataclass, field
from pathlib import Path

from ptune_cli.errors import UserError
from ptune_cli.reports import sweep_figure, sweep_table
from ptune_cli.reports.sweep_results import collect
from ptune_cli.sweeps.points import expand
from ptune_cli.sweeps.running import run_all, show_plan, stoppable


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Run `ptune train` at every point of a grid, and compare the results.

    Seeds (and tasks and prompt lengths, where a point lists several) train together over one loaded model. A finished point is
    not run again, an unfinished one goes on where it stopped, and one that fails does not stop the others.

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
        if self.dry_run:
            show_plan(points)
            return 0
        with stoppable():
            failed = run_all(points, self.jobs)
        finished = [point for point in points if point not in failed]
        if finished:
            results = collect([(point.labels, point.folder) for point in finished])
            figures = sweep_figure.draw(results, Path(self.output))
            sweep_table.write(results, Path(self.output))
            sweep_table.show(results, figures, self.json)
        return 1 if failed else 0

    def axes(self) -> tuple[str, ...]:
        """All axes, in the order in which they make the grid."""
        named = {axis.partition("=")[0] for axis in self.also_over}
        return (*self.also_over, *(axis for axis in self.over if axis.partition("=")[0] not in named))
