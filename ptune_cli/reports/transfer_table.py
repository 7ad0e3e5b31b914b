"""A transfer as a table (the paper's Tables 1 and 2): on the terminal, as Markdown and as JSON."""

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from rich.console import Console

from ptune_cli.file_task import shown
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.reports import spread, tables
from ptune_cli.reports.transfer_results import Row

NAMES = ("trained on", "evaluated on", "split", "metric")  # the columns of names
NOTE = (
    "In percent, mean±sample standard deviation over seeds; Δ is the first method less the second, in points. "
    "Steps were chosen on the validation split of what was trained on."
)


def write(rows: Sequence[Row], folder: Path) -> None:
    """transfer.json and transfer.md in the transfer's folder."""
    write_atomically(folder / "transfer.json", _json(rows).encode())
    write_atomically(folder / "transfer.md", f"{tables.markdown(_cells(rows))}\n{NOTE}\n".encode())


def show(rows: Sequence[Row], figures: Sequence[Path], as_json: bool) -> None:
    """Print the rows, a table for each task that was trained on and metric, and where the pictures are."""
    if as_json:
        print(_json(rows), end="")
        return
    console = Console()
    for source, metric in dict.fromkeys((row.source, _metric(row)) for row in rows):
        own = [row for row in rows if (row.source, _metric(row)) == (source, metric)]
        console.print(f"trained on {shown(source)}: {metric} (percent)", highlight=False, markup=False)
        console.print(tables.terminal(_cells(own, without=("trained on", "metric")), NAMES))
    for figure in figures:
        console.print(f"picture: {figure}", highlight=False, soft_wrap=True)


def _json(rows: Sequence[Row]) -> str:
    return json.dumps([row.as_json() for row in rows], indent=2) + "\n"


def _cells(rows: Sequence[Row], without: Collection[str] = ()) -> list[list[str]]:
    """A header line, and a line for each row."""
    columns = {name: cell for name, cell in _columns(tuple(rows[0].scores)).items() if name not in without}
    return [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]


def _columns(methods: Sequence[str]) -> dict[str, Callable[[Row], str]]:
    """{a column's header: its cell in a row}."""
    scores = {method.replace("_", " "): _score_of(method) for method in methods}
    facts = {"Δ": _difference, "seeds": _seeds, "n": lambda row: str(row.n)}
    tasks = (lambda row: shown(row.source), lambda row: shown(row.task), lambda row: row.split, _metric)
    return {**dict(zip(NAMES, tasks, strict=True)), **scores, **facts}


def _score_of(method: str) -> Callable[[Row], str]:
    return lambda row: spread.text(row.scores[method])


def _metric(row: Row) -> str:
    return f"{row.metric}, {row.protocol}"


def _difference(row: Row) -> str:
    return "" if row.difference is None else f"{row.difference:+.1f}"


def _seeds(row: Row) -> str:
    """How many each method has, once if they agree."""
    return "/".join(dict.fromkeys(str(len(scores)) for scores in row.scores.values()))
