"""What `ptune inspect` finds, on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptune_cli.file_task import shown
from ptune_cli.reports.inspect_results import Inspection, PromptFound, PromptRow

MATRICES = {
    "mean cosine similarity of row i to row i of the other prompt": "row_by_row",
    "mean cosine similarity of each row to the most similar row of the other prompt": "best_match",
}
SHARED = 5  # pieces that several rows share, before the rest is counted


def show(found: Inspection, rows: int, page: Path | None) -> None:
    """Print every prompt, at most `rows` of its rows (0: all), and the matrices if there are several; where the page is."""
    console = Console(highlight=False)
    for prompt in found.prompts:
        console.print(Text(title(prompt.name, prompt), style="bold"))
        console.print(_rows(prompt.rows[: rows or None]))
        for line in [*_left_out(prompt, rows), *facts(found, prompt), ""]:
            console.print(Text(line))
    if len(found.prompts) > 1:
        for name, values in MATRICES.items():
            console.print(Text(name))
            console.print(_matrix(found.names, getattr(found, values)))
    if page:
        console.print(Text(f"page: {page}"), soft_wrap=True)


def title(name: str, prompt: PromptFound) -> str:
    """The prompt by this name, and what is known of its training."""
    known = {"": shown(prompt.task), "seed ": prompt.seed, "step ": prompt.step}
    said = [f"{what}{value}" for what, value in known.items() if value not in ("", None)]
    return f"{name}: {', '.join([*said, _count(len(prompt.rows), 'row')])}"


def facts(found: Inspection, prompt: PromptFound) -> list[str]:
    """A line each about the labels, the norms, the initial prompt, and rows with the same nearest piece; then the notes."""
    mean, std = found.embedding_norm
    lines = [f"labels: {'; '.join(label_facts(prompt))}"] if prompt.labels else []
    lines += [f"norm: {prompt.norm:.1f} on average, the vocabulary's embeddings {mean:.1f}±{std:.1f}"]
    if prompt.initial is not None:
        lines += [f"initial prompt: a row has kept {prompt.initial:.2f} of similarity to what it was, on average"]
    return [*lines, _shared(prompt), *prompt.notes]


def label_facts(prompt: PromptFound) -> list[str]:
    """For each label, the rows that are near it, with its rank where it is not the nearest: "food at 1, 7 (3rd)"."""
    out = []
    for label, sightings in (prompt.labels or {}).items():
        rows = [f"{s.row}{'' if s.rank == 1 else f' ({_ordinal(s.rank)})'}" for s in sightings]
        out.append(f"{label} at {', '.join(rows)}" if rows else f"{label} nowhere")
    return out


def _rows(rows: Sequence[PromptRow]) -> Table:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for column in ("row", "norm", "initial"):
        table.add_column(column, justify="right")
    table.add_column("nearest pieces and their cosine similarity")
    for number, row in enumerate(rows):
        initial = "" if row.initial is None else f"{row.initial:.2f}"
        near = Text("  ".join(f"{near.piece}\u00a0{near.similarity:.2f}" for near in row.neighbours))  # never broken between
        table.add_row(str(number), f"{row.norm:.1f}", initial, near)
    return table


def _left_out(prompt: PromptFound, rows: int) -> list[str]:
    left = len(prompt.rows) - rows if rows else 0
    return [f"{_count(left, 'more row')}: --rows 0 shows all, --html FILE makes a page of them"] if left > 0 else []


def _shared(prompt: PromptFound) -> str:
    several = [f"{piece} (rows {', '.join(map(str, rows))})" for piece, rows in prompt.shared.items()]
    more = [f"{len(several) - SHARED} more"] if len(several) > SHARED else []
    line = f"nearest pieces: {len(prompt.by_nearest)} different ones of {_count(len(prompt.rows), 'row')}"
    return f"{line}; shared: {', '.join([*several[:SHARED], *more])}" if several else line


def _matrix(names: Sequence[str], values: Sequence[Sequence[float]]) -> Table:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("")
    for number in range(len(names)):
        table.add_column(str(number), justify="right")
    for number, (label, row) in enumerate(zip(names, values, strict=True)):
        table.add_row(Text(f"{number} {label}"), *(f"{value:.2f}" for value in row))
    return table


def _ordinal(rank: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th") if rank % 100 not in (11, 12, 13) else "th"
    return f"{rank}{ending}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
