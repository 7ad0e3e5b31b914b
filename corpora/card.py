"""Renders the card of a demo task: what a user must know of the data, beside it."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

CARD = """# {name}

{what}

| {columns} |
|{column_rule}
{examples}

Columns: {about_columns}. UTF-8, tab-separated, no quoting.

## Rows

| label | {splits} |
|---|{split_rule}
{rows}

{limits}

## What pre-training leaves out

{held_out}

## Scores to beat

| method | {measures} |
|---|{measure_rule}
{scores}

{about_scores}

On {test} test rows, a 95% interval around the last method's score is plus or minus {interval:.1f} points.

## Source and licence

{source}

Made by `python -m corpora.fetch && python -m corpora.demo_tasks`; the same files come out every time.
"""
EXAMPLES = 6
TEST = "test accuracy"

Splits = Mapping[str, Sequence[tuple[str, ...]]]
Scores = Mapping[str, Mapping[str, float]]
"""{method: {what is measured: accuracy between 0 and 1}}; TEST is among them."""


@dataclasses.dataclass(frozen=True)
class Prose:
    """What a card says besides what it counts, in sentences of Markdown."""

    what: str
    """The task."""
    columns: str
    limits: Sequence[str]
    held_out: str
    scores: str
    source: str


def render(name: str, columns: Sequence[str], splits: Splits, scores: Scores, prose: Prose) -> str:
    """The card in Markdown. `columns` are those of the rows of `splits`: an id, texts, a label."""
    *_, last = scores.values()
    size = len(splits["test"])
    return CARD.format(
        name=name,
        what=prose.what,
        columns=" | ".join(columns[1:]),
        column_rule="---|" * len(columns[1:]),
        examples=_examples(next(iter(splits.values()))),
        about_columns=prose.columns,
        splits=" | ".join(splits),
        split_rule="---|" * len(splits),
        rows=_rows(splits),
        limits="\n".join(f"- {limit}" for limit in prose.limits),
        held_out=prose.held_out,
        measures=" | ".join(last),
        measure_rule="---|" * len(last),
        scores="\n".join(_line([method, *(f"{value:.1%}" for value in row.values())]) for method, row in scores.items()),
        about_scores=prose.scores,
        test=size,
        interval=196 * (last[TEST] * (1 - last[TEST]) / size) ** 0.5,
        source=prose.source,
    )


def _examples(rows: Sequence[tuple[str, ...]]) -> str:
    """The first rows of each label, as many of each."""
    labels = sorted({row[-1] for row in rows})
    found = [[row for row in rows if row[-1] == label][: EXAMPLES // len(labels)] for label in labels]
    return "\n".join(_line(row[1:]) for group in found for row in group)


def _rows(splits: Splits) -> str:
    counts = {split: collections.Counter(row[-1] for row in rows) for split, rows in splits.items()}
    lines = [_line([label, *(count[label] for count in counts.values())]) for label in sorted(set().union(*counts.values()))]
    return "\n".join([*lines, _line(["all", *(count.total() for count in counts.values())])])


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
