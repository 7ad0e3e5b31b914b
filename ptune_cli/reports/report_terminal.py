"""A report on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptune_cli.reports import ensembles, report_cells, tables
from ptune_cli.reports.report_files import Found
from ptune_cli.reports.report_lines import Section


def show(report: Found, files: Sequence[Path]) -> None:
    """Print the table and the deviations of each task, the ensembles, and where the files are."""
    console = Console(highlight=False)
    for section in report.sections:
        console.print(Text(report_cells.title(section), style="bold"))
        for table in _tables(section, console.width):
            console.print(table)
        found = report_cells.deviations(section)
        console.print(Text(f"deviations from {report.recipe}:{'' if found else ' none'}"))
        for name, here, wanted, _ in found:
            console.print(Text(f"  {name}: {here}, not {wanted}"))
        console.print(f"\n{report_cells.SCORES}\n")
    if report.ensembles:
        console.print(Text(ensembles.TITLE, style="bold"))
        console.print(tables.terminal(ensembles.cells(report.ensembles), ensembles.NAMES, console.width))
        console.print(f"{ensembles.NOTE}\n")
    for file in files:
        console.print(Text(str(file)), soft_wrap=True)


def _tables(section: Section, width: int) -> list[Table]:
    """One table where it fits the terminal, else the settings in one of their own, where each has a row."""
    cells, names = report_cells.cells(section), report_cells.names(section)
    if not section.columns or not tables.is_wide(cells, width):
        return [tables.terminal(cells, names, width)]
    settings = 1 + len(section.columns)  # behind the line's number
    turned = [list(column) for column in zip(*(line[:settings] for line in cells), strict=True)]
    scores = [line[:1] + line[settings:] for line in cells]
    return [tables.terminal(scores, names[-2:], width), tables.terminal(turned, turned[0][:1], width)]
