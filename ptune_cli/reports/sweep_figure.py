"""A sweep as a picture (the paper's Figures 1 and 3): the first axis across, the score up, a line for each other value."""

from collections.abc import Sequence
from pathlib import Path

from ptune_cli.file_task import shown
from ptune_cli.reports import panels
from ptune_cli.reports.sweep_axis import TASKS, Axis, axis
from ptune_cli.reports.sweep_results import Row
from tasks.sentinel import plain


def draw(rows: Sequence[Row], folder: Path, name: str = "sweep") -> list[Path]:
    """`name`.png and .svg, a panel for each task; error bars are the standard deviation over seeds.

    Where tasks are an axis, the forms of one are in one panel.
    """
    tasks: dict[str, list[Row]] = {}
    for row in rows:
        tasks.setdefault(plain(row.task) if TASKS in dict(row.labels) else row.task, []).append(row)
    return panels.draw([(shown(task), own) for task, own in tasks.items()], _panel, folder / name)


def _panel(panel, rows: Sequence[Row]) -> None:
    across, alone = axis(rows), {}
    for name in dict.fromkeys(across.lines.values()):
        line = sorted((row for row in rows if across.lines[row.labels] == name), key=lambda row: across.places[row.labels])
        places, means = [across.places[row.labels] for row in line], [row.mean for row in line]
        drawn = panel.errorbar(places, means, [row.std or 0 for row in line], marker="o", capsize=3, linewidth=1.6, label=name)
        alone.setdefault(tuple(zip(places, (row.untuned for row in line), strict=True)), drawn.lines[0].get_color())
    for points, color in alone.items():  # lines of one model share what it scores alone
        panel.plot(*zip(*points, strict=True), color="0.6" if len(alone) == 1 else color, linestyle=":", marker=".", alpha=0.7)
    panel.plot([], [], color="0.6", linestyle=":", marker=".", label="model alone")
    panel.axhline(rows[0].majority, color="0.6", linestyle="--", linewidth=1, label="majority class")
    _scale(panel, across)
    panel.set_ylabel(" / ".join(dict.fromkeys(f"{row.metric} (%), {row.protocol}" for row in rows)))


def _scale(panel, across: Axis) -> None:
    if across.logarithmic:
        panel.set_xscale("log")
        panel.minorticks_off()
    panel.set_xticks(list(across.ticks), list(across.ticks.values()))
    panel.set_xlabel(across.label)
