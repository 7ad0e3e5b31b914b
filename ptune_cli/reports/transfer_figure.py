"""A transfer as a picture: a panel for each metric, the tasks across, the score of each method up, every seed as a small dot."""

from collections.abc import Sequence
from pathlib import Path

from ptune_cli.file_task import short_name
from ptune_cli.reports import panels, spread
from ptune_cli.reports.transfer_results import Row

APART = 0.24  # between the methods of one task


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """transfer.png and transfer.svg; error bars are the standard deviation over seeds."""
    by_metric = {metric: [row for row in rows if row.metric == metric] for metric in dict.fromkeys(row.metric for row in rows)}
    width = max(4.5, 1.1 * max(map(len, by_metric.values())) + 1.5)
    return panels.draw(list(by_metric.items()), _panel, folder / "transfer", width)


def _panel(axis, rows: Sequence[Row]) -> None:
    methods = list(rows[0].scores)
    for number, method in enumerate(methods):
        shift = (number - (len(methods) - 1) / 2) * APART
        if points := [(place + shift, row.scores[method]) for place, row in enumerate(rows) if row.scores[method]]:
            _method(axis, method, points)
    axis.set_xticks(range(len(rows)), [_tick(row) for row in rows], rotation=20, ha="right")
    axis.set_xlim(-0.6, len(rows) - 0.4)
    axis.set_ylabel(f"{rows[0].metric} (%), {rows[0].protocol}")


def _method(axis, method: str, points: Sequence[tuple[float, tuple[float, ...]]]) -> None:
    across, scores = [place for place, _ in points], [own for _, own in points]
    up, bars = [spread.mean(own) for own in scores], [spread.std(own) or 0 for own in scores]
    drawn = axis.errorbar(across, up, bars, fmt="o", capsize=3, label=method.replace("_", " "))
    each = [(place, score) for place, own in points for score in own]
    axis.plot(*zip(*each, strict=True), ".", color=drawn[0].get_color(), alpha=0.45, markersize=5)


def _tick(row: Row) -> str:
    return (
        f"{short_name(row.task)}\n(trained on)" if row.in_domain else f"{short_name(row.task)}\n(from {short_name(row.source)})"
    )
