"""A sweep as a table: on the terminal, as Markdown and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ptune_cli.file_task import shown
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.reports import spread, tables
from ptune_cli.reports.sweep_axis import TASKS
from ptune_cli.reports.sweep_results import Row

SHARED = ("task", "seeds", "majority", "n")  # told once on the terminal, where all lines agree


def write(rows: Sequence[Row], folder: Path) -> None:
    """sweep.json and sweep.md in the sweep's folder."""
    write_atomically(folder / "sweep.json", (json.dumps([row.as_json() for row in rows], indent=2) + "\n").encode())
    write_atomically(folder / "sweep.md", tables.markdown(_cells(rows)).encode())


def show(rows: Sequence[Row], figures: Sequence[Path], as_json: bool) -> None:
    """Print the rows, and where the pictures are."""
    if as_json:
        print(json.dumps([row.as_json() for row in rows], indent=2))
        return
    console = Console(highlight=False)
    shared, cells = tables.shared(_cells(rows), SHARED)
    if shared:
        console.print(shared, markup=False)
    console.print(tables.terminal(cells, ("task", *_axes(rows)), console.width))
    for figure in figures:
        console.print(f"picture: {figure}", highlight=False, soft_wrap=True)


def _axes(rows: Sequence[Row]) -> list[str]:
    return [axis for axis, _ in _told(rows[0])]


def _told(row: Row) -> list[tuple[str, str]]:
    """The values that a line tells besides its task."""
    return [(axis, value) for axis, value in row.labels if axis != TASKS]


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    """A header line, and a line for each row: mean and standard deviation over seeds, in percent."""
    protocols = sorted({f"{row.metric}, {row.protocol}" for row in rows})
    header = ["task", *_axes(rows), " / ".join(protocols), "seeds", "invalid", "untuned", "majority", "n"]
    return [header, *(_line(row) for row in rows)]


def _line(row: Row) -> list[str]:
    values = [Path(value).stem if axis == "gin" else value for axis, value in _told(row)]
    numbers = [f"{value:.1f}" for value in (row.invalid, row.untuned, row.majority)]
    return [shown(row.task), *values, spread.text(row.scores), str(len(row.scores)), *numbers, str(row.n)]
