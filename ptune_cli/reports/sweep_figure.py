"""A sweep as a picture (the paper's Figures 1 and 3): the first axis across, the score up, a line for each other value."""

from collections.abc import Sequence
from pathlib import Path

from ptune_cli.file_task import shown
from ptune_cli.reports import panels
from ptune_cli.reports.sweep_axis import Axis, axis
from ptune_cli.reports.sweep_results import Row


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """sweep.png and sweep.svg, a panel for each task; error bars are the standard deviation over seeds."""
    tasks = dict.fromkeys(row.task for row in rows)
    return panels.draw([(shown(task), [row for row in rows if row.task == task]) for task in tasks], _panel, folder / "sweep")


def _panel(panel, rows: Sequence[Row]) -> None:
    across, alone = axis(rows), {}
    for name in dict.fromkeys(across.lines.values()):
        line = sorted((row for row in rows if across.lines[row.labels] == name), key=lambda row: across.places[row.labels])
        places, means = [across.places[row.labels] for row in line], [row.mean for row in line]
        drawn = panel.errorbar(places, means, [row.std or 0 for row in line], marker="o", capsize=3, linewidth=1.6, label=name)
        alone.setdefault(tuple(zip(places, (row.untuned for row in line), strict=True)), (name, drawn.lines[0].get_color()))
    for points, (name, color) in alone.items():  # lines of one model share what it scores alone
        label, color = ("model alone", "0.6") if len(alone) == 1 else (f"{name}, model alone", color)
        panel.plot(*zip(*points, strict=True), color=color, linestyle=":", marker=".", alpha=0.7, label=label)
    panel.axhline(rows[0].majority, color="0.6", linestyle="--", linewidth=1, label="majority class")
    _scale(panel, across)
    panel.set_ylabel(f"{rows[0].metric} (%), {rows[0].protocol}")


def _scale(panel, across: Axis) -> None:
    if across.logarithmic:
        panel.set_xscale("log")
        panel.minorticks_off()
    panel.set_xticks(list(across.ticks), list(across.ticks.values()))
    panel.set_xlabel(across.label)
