"""A table of text cells, of which the first line is the header, for a file and for the terminal."""

from collections.abc import Collection, Sequence

from rich.box import SIMPLE
from rich.table import Table

Cells = Sequence[Sequence[str]]


def markdown(cells: Cells) -> str:
    """The table as Markdown."""
    header, *body = cells
    lines = [header, ["---"] * len(header), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def terminal(cells: Cells, names: Collection[str]) -> Table:
    """The table as rich prints it: the columns `names` to the left and whole, numbers to the right."""
    header, *body = cells
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for column in header:
        table.add_column(column.replace(", ", "\n"), justify="left" if column in names else "right", no_wrap=column in names)
    for line in body:
        table.add_row(*line)
    return table
