"""`ptune report`: what finished runs found, as tables, pictures and a page. Reads their folders, and runs nothing."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from ptune_cli.reports import (
    ensembles,
    parameters_figure,
    report_figures,
    report_files,
    report_lines,
    report_page,
    report_terminal,
    run_folders,
)
from ptune_cli.reports.deviations import RECIPE


@dataclass(frozen=True, kw_only=True)
class Report:
    """Compare finished runs: a table for each task with a line for each setting they differ in, pictures, and a page of it all.

    Runs are found in the folders and below them, so a sweep's folder is all of its runs. Runs that differ in their seeds alone
    are one line. How each line deviates from the paper's recipe is counted and listed. The page sets the paper's numbers beside
    ours, where task, metric and method are the same. What `ptune ensemble` found of the runs' prompts has a table of its own.

    Example: ptune report runs/methods runs/demo --output runs/report
    """

    runs: tuple[str, ...] = field(metadata={"positional": True})  # run folders, and folders of runs
    output: str | None = None  # the report's folder; default: report in the first folder that is given
    recipe: str = RECIPE  # what deviations are from
    json: bool = field(default=False, metadata={"saved": False})  # print report.json instead of the tables

    def run(self) -> None:
        """Read, compare, write, show. UserError if there is no finished run."""
        runs, left_out = run_folders.find(self.runs)
        sections, twice = report_lines.sections(runs, self.recipe)
        for own in left_out:
            _say(f"{own.folder} is left out: {own.why}")
        for again, counted in dict.fromkeys((own.again.run, own.counted.run) for own in twice):
            _say(f"{again} has the settings and seeds of {counted} again, and these count once")
        folder = Path(self.output or Path(self.runs[0]) / "report").expanduser()
        scores, share = report_figures.draw(sections, folder), parameters_figure.draw(folder)
        found = report_files.Found(sections, ensembles.collect(runs), left_out, self.recipe)
        files = report_files.write(found, folder)
        page = report_page.write(report_page.Content(found, scores, share), folder / "report.html")
        if self.json:
            print(report_files.as_json(found))
            return
        report_terminal.show(found, [page, *files, *(own.png for own in (*scores, share))])


def _say(line: str) -> None:
    print(f"ptune report: {line}", file=sys.stderr)
