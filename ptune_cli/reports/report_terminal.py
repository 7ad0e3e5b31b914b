"""A report on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ptune_cli.reports import ensembles, report_cells, tables
from ptune_cli.reports.report_files import Found

SHARED = ("n", "seeds", "untuned", "majority")  # told once where all lines agree


def show(report: Found, files: Sequence[Path]) -> None:
    """Print the table and the deviations of each task, the ensembles, and where the files are."""
    console = Console(highlight=False)
    for section in report.sections:
        names = report_cells.names(section)
        _show(console, report_cells.title(section), report_cells.cells(section), names, SHARED, len(section.columns))
        found = report_cells.deviations(section)
        console.print(Text(f"deviations from {report.recipe}:{'' if found else ' none'}"))
        for name, here, wanted, _ in found:
            console.print(Text(f"  {name}: {here}, not {wanted}"))
        console.print(f"\n{report_cells.SCORES}\n")
    if report.ensembles:
        told = (*ensembles.NAMES, "n", "prompts")
        _show(console, ensembles.TITLE, ensembles.cells(report.ensembles), ensembles.NAMES, told, 0)
        console.print(f"{ensembles.NOTE}\n")
    for file in files:
        console.print(Text(str(file)), soft_wrap=True)


def _show(console: Console, title: str, cells: tables.Cells, names: Sequence[str], shared: Sequence[str], settings: int) -> None:
    """One table where it fits the terminal, else its first `settings`, behind the number, in one of their own, a row for each."""
    above, cells = tables.shared(cells, shared)
    console.print(Text(title, style="bold"))
    if above:
        console.print(Text(above))
    if not settings or not tables.is_wide(cells, console.width):
        console.print(tables.terminal(cells, names, console.width))
        return
    turned = [list(column) for column in zip(*(line[: 1 + settings] for line in cells), strict=True)]
    console.print(tables.terminal([line[:1] + line[1 + settings :] for line in cells], names[settings:], console.width))
    console.print(tables.terminal(turned, turned[0][:1], console.width))
