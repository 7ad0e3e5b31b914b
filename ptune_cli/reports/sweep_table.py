"""A sweep as a table: on the terminal, as Markdown and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ptune_cli.file_task import shown
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.reports.sweep_results import Row


def write(rows: Sequence[Row], folder: Path) -> None:
    """sweep.json and sweep.md in the sweep's folder."""
    write_atomically(folder / "sweep.json", (json.dumps([row.as_json() for row in rows], indent=2) + "\n").encode())
    header, *body = _cells(rows)
    lines = [header, ["---"] * len(header), *body]
    write_atomically(folder / "sweep.md", "".join(f"| {' | '.join(line)} |\n" for line in lines).encode())


def show(rows: Sequence[Row], figures: Sequence[Path], as_json: bool) -> None:
    """Print the rows, and where the pictures are."""
    if as_json:
        print(json.dumps([row.as_json() for row in rows], indent=2))
        return
    header, *body = _cells(rows)
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    names = {"task", *_axes(rows)}
    for column in header:
        table.add_column(column.replace(", ", "\n"), justify="left" if column in names else "right", no_wrap=column in names)
    for line in body:
        table.add_row(*line)
    console = Console()
    console.print(table)
    for figure in figures:
        console.print(f"picture: {figure}", highlight=False, soft_wrap=True)


def _axes(rows: Sequence[Row]) -> list[str]:
    return [axis for axis, _ in rows[0].labels]


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    """A header line, and a line for each row: mean and standard deviation over seeds, in percent."""
    protocols = sorted({f"{row.metric}, {row.protocol}" for row in rows})
    header = ["task", *_axes(rows), " / ".join(protocols), "seeds", "invalid", "untuned", "majority", "n"]
    return [header, *(_line(row) for row in rows)]


def _line(row: Row) -> list[str]:
    spread = "" if row.std is None else f"±{row.std:.1f}"
    values = [Path(value).stem if axis == "gin" else value for axis, value in row.labels]
    numbers = [f"{value:.1f}" for value in (row.invalid, row.untuned, row.majority)]
    return [shown(row.task), *values, f"{row.mean:.1f}{spread}", str(len(row.scores)), *numbers, str(row.n)]
