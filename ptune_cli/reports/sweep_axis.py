"""What goes across a sweep's picture: where each row's point lies, and which points are one line."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptune_cli import shipped
from ptune_cli.reports.sweep_results import Labels, Row

MODEL = "model.checkpoint"  # the axis that is drawn by what the models are


@dataclass(frozen=True)
class Axis:
    """The first axis of a sweep. The other axes, and the model's size where stages of it are compared, make the lines."""

    places: dict[Labels, float]
    ticks: dict[float, str]
    label: str
    logarithmic: bool
    lines: dict[Labels, str]


def axis(rows: Sequence[Row]) -> Axis:
    """Models by their LM adaptation (Figure 3d) if some are stages of one size, else by their parameters (Figure 1).

    Positive numbers are on a logarithmic scale, other values side by side.
    """
    name = rows[0].labels[0][0]
    values = [row.labels[0][1] for row in rows]
    if name == MODEL and _stages(values):
        return _across(rows, [float(_adaptation(value)) for value in values], "steps of LM adaptation", False, "{:.0f}", True)
    if name == MODEL:
        return _across(rows, [row.parameters for row in rows], "model parameters", True, "{value}\n{millions:.1f}M")
    if _positive(values):
        return _across(rows, [float(value) for value in values], name, True, "{value}")
    words = list(dict.fromkeys(values))
    return _across(rows, [words.index(value) for value in values], {"gin": ""}.get(name, name), False, "{value}")


def _across(rows: Sequence[Row], places: Sequence[float], label: str, logarithmic: bool, tick: str, sizes: bool = False) -> Axis:
    ticks = {
        place: tick.format(place, value=Path(row.labels[0][1]).stem, millions=row.parameters / 1e6)
        for row, place in zip(rows, places, strict=True)
    }
    lines = {row.labels: _line(row, sizes) for row in rows}
    return Axis(dict(zip((row.labels for row in rows), places, strict=True)), ticks, label, logarithmic, lines)


def _stages(values: Sequence[str]) -> bool:
    """Whether several models are of one size, and all say how they were adapted."""
    counts = Counter(shipped.size_of(value) for value in set(values))
    return max(counts.values()) > 1 and all(value in shipped.names() for value in values)


def _adaptation(name: str) -> int:
    """The steps of LM adaptation of a shipped model."""
    training = shipped.training(shipped.locate(name)) or {"phases": []}
    return sum(phase["steps"] for phase in training["phases"] if phase["objective"] == "PrefixLM")


def _positive(values: Sequence[str]) -> bool:
    try:
        return all(float(value) > 0 for value in values)
    except ValueError:
        return False


def _line(row: Row, size: bool) -> str:
    names = [shipped.size_of(row.labels[0][1])] if size else []
    names += [Path(value).stem.replace("_", " ") for _, value in row.labels[1:]]
    return ", ".join(names) or row.method
