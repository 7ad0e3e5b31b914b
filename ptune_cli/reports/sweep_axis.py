"""What goes across a sweep's picture: where each row's point lies, and which points are one line."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ptune_cli import shipped
from ptune_cli.reports import lm_adaptation
from ptune_cli.reports.report_cells import METHODS
from ptune_cli.reports.sweep_results import Labels, Row
from tasks.sentinel import plain

MODEL = "model.checkpoint"  # the axis that is drawn by what the models are
TASKS = "tasks"


@dataclass(frozen=True)
class Axis:
    """The first axis of a sweep. The other axes, and the model's size where stages of it are compared, make the lines."""

    places: dict[Labels, float]
    ticks: dict[float, str]
    label: str
    logarithmic: bool
    lines: dict[Labels, str]


def axis(rows: Sequence[Row]) -> Axis:
    """Models by their parameters (Figure 1), or by their LM adaptation if some are stages of one size (Figure 3d).

    With tasks in the form of span corruption among them the pre-training objectives are the lines (Figure 3c). Positive
    numbers are on a logarithmic scale, other values side by side.
    """
    name = rows[0].labels[0][0]
    values = [row.labels[0][1] for row in rows]
    if name == MODEL and (objectives := _objectives(rows)):
        found = _across(rows, [row.parameters for row in rows], "model parameters", True, "{millions:.1f}M")
        return replace(found, lines=objectives)
    if name == MODEL and _stages(values):
        adapted = [lm_adaptation.steps(value) or 0 for value in values]
        return _across(rows, adapted, "steps of LM adaptation", False, "{:.0f}", True)
    if name == MODEL:
        return _across(rows, [row.parameters for row in rows], "model parameters", True, "{value}\n{millions:.1f}M")
    if _positive(values):
        return _across(rows, [float(value) for value in values], name, True, "{value}")
    words = list(dict.fromkeys(values))
    return _across(rows, [words.index(value) for value in values], {"gin": ""}.get(name, name), False, "{value}")


def _across(rows: Sequence[Row], places: Sequence[float], label: str, logarithmic: bool, tick: str, sizes: bool = False) -> Axis:
    ticks = {
        place: tick.format(place, value=_short(row.labels[0][1]), millions=row.parameters / 1e6)
        for row, place in zip(rows, places, strict=True)
    }
    lines = {row.labels: _line(row, rows, sizes) for row in rows}
    return Axis(dict(zip((row.labels for row in rows), places, strict=True)), ticks, label, logarithmic, lines)


def _stages(values: Sequence[str]) -> bool:
    """Whether several models are of one size, and all say how they were adapted."""
    counts = Counter(shipped.size_of(value) for value in set(values))
    return max(counts.values()) > 1 and all(value in shipped.names() for value in values)


def _objectives(rows: Sequence[Row]) -> dict[Labels, str]:
    """The lines of Figure 3c: how each row's model was pre-trained, and its task's form; none if that is not what is compared."""
    found = {row.labels: lm_adaptation.objective(row.labels[0][1], row.task) for row in rows}
    if all(plain(row.task) == row.task for row in rows) or None in found.values():
        return {}
    others = [replace(row, labels=tuple(own for own in row.labels if own[0] != TASKS)) for row in rows]
    rest = [_line(other, others, False) if len(other.labels) > 1 else "" for other in others]
    return {row.labels: ", ".join(filter(None, (found[row.labels], own))) for row, own in zip(rows, rest, strict=True)}


def _positive(values: Sequence[str]) -> bool:
    return all(_is_number(value) and float(value) > 0 for value in values)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _line(row: Row, rows: Sequence[Row], size: bool) -> str:
    """What a row's line is called. A number has its axis before it, and a path that others share the name of stays whole."""
    names = [shipped.size_of(row.labels[0][1])] if size else []
    for number, (name, value) in enumerate(row.labels[1:], 1):
        if not value:
            continue
        alike = {own for other in rows if _short(own := other.labels[number][1]) == _short(value)}
        own = _short(value) if len(alike) == 1 else value
        names.append(f"{name.rpartition('.')[2]} {own}" if _is_number(value) else own)
    return ", ".join(names).replace("_", " ") or METHODS.get(row.method, row.method)


def _short(value: str) -> str:
    """A gin file by its stem, any other path by its last name, another value as it is."""
    return Path(value).stem if value.endswith(".gin") else value if _is_number(value) else Path(value).name or value
