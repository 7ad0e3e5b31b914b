"""A sweep as a picture: the first axis across, the score up, a line for each value of the other axes (the paper's Figure 1)."""

from collections.abc import Sequence
from pathlib import Path

from ptune_cli.file_task import shown
from ptune_cli.reports import panels
from ptune_cli.reports.sweep_results import Row

MODEL = "model.checkpoint"  # the axis that is drawn by the model's size


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """sweep.png and sweep.svg, a panel for each task; error bars are the standard deviation over seeds."""
    tasks = dict.fromkeys(row.task for row in rows)
    return panels.draw([(shown(task), [row for row in rows if row.task == task]) for task in tasks], _panel, folder / "sweep")


def _panel(axis, rows: Sequence[Row]) -> None:
    places = _places(rows)
    for name in dict.fromkeys(map(_line, rows)):
        line = sorted((row for row in rows if _line(row) == name), key=lambda row: places[row.labels])
        across, up = [places[row.labels] for row in line], [row.mean for row in line]
        axis.errorbar(across, up, [row.std or 0 for row in line], marker="o", capsize=3, linewidth=1.6, label=name)
    untuned = {places[row.labels]: row.untuned for row in rows}
    axis.plot(*zip(*sorted(untuned.items()), strict=True), color="0.6", linestyle=":", marker=".", label="model alone")
    axis.axhline(rows[0].majority, color="0.6", linestyle="--", linewidth=1, label="majority class")
    _scale(axis, rows, places)
    axis.set_ylabel(f"{rows[0].metric} (%), {rows[0].protocol}")


def _scale(axis, rows: Sequence[Row], places: dict) -> None:
    """Parameters and other positive numbers on a logarithmic scale, words side by side."""
    name, values = rows[0].labels[0][0], {places[row.labels]: row for row in rows}
    if name == MODEL or _numbers(rows):
        axis.set_xscale("log")
        axis.minorticks_off()
    axis.set_xticks(list(values), [_tick(row, name) for row in values.values()])
    axis.set_xlabel({MODEL: "model parameters", "gin": ""}.get(name, name))


def _tick(row: Row, name: str) -> str:
    value = Path(row.labels[0][1]).stem
    return f"{value}\n{row.parameters / 1e6:.1f}M" if name == MODEL else value


def _places(rows: Sequence[Row]) -> dict:
    """{labels: where on the horizontal axis}."""
    words = list(dict.fromkeys(row.labels[0][1] for row in rows))
    if rows[0].labels[0][0] == MODEL:
        return {row.labels: row.parameters for row in rows}
    return {row.labels: float(row.labels[0][1]) if _numbers(rows) else words.index(row.labels[0][1]) for row in rows}


def _numbers(rows: Sequence[Row]) -> bool:
    try:
        return all(float(row.labels[0][1]) > 0 for row in rows)
    except ValueError:
        return False


def _line(row: Row) -> str:
    return ", ".join(Path(value).stem.replace("_", " ") for _, value in row.labels[1:]) or row.method
