"""A report's pictures of scores: across the model's size, the prompt's length, how it starts, or what else its runs differ in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptune_cli.reports import sweep_figure
from ptune_cli.reports.report_cells import method, text_of
from ptune_cli.reports.report_lines import Line, Section, value_of
from ptune_cli.reports.sweep_axis import MODEL
from ptune_cli.reports.sweep_results import Row

METHOD = "method"
Labels = dict[str, str]  # {setting: its value, "" where it has none}
# The paper's Figure 1 (and 3d, where models are stages of one size), 3a and 3b.
ACROSS = {
    MODEL: "Scores by base model",
    "prompt.length": "Scores by prompt length",
    "prompt.init": "Scores by how a prompt starts",
}


@dataclass(frozen=True)
class Picture:
    """A picture as two files."""

    title: str
    png: Path
    svg: Path


def draw(sections: Sequence[Section], folder: Path) -> list[Picture]:
    """A picture for each setting that scores are drawn across, with a panel for each task; none if no runs of a task differ.

    Lines of the picture are what was made with equal other settings. What was not trained on the task is not drawn, nor what has
    no such setting: model tuning has no prompt length.
    """
    rows: dict[str, list[Row]] = {}
    for section in sections:
        labels = [_labels(line, section) for line in section.trained]
        for name in _across(labels):
            drawn = [(line, own) for line, own in zip(section.trained, labels, strict=True) if own[name]]
            rows.setdefault(name, []).extend(_rows(drawn, name))
    pictures = []
    for name, own in rows.items():
        png, svg = sweep_figure.draw(own, folder, f"scores_{name.replace('.', '_').replace(' ', '_')}")
        pictures.append(Picture(ACROSS.get(name, f"Scores by {name}"), png, svg))
    return pictures


def _labels(line: Line, section: Section) -> Labels:
    """{setting: its value}: what tells a line from the others that are drawn."""
    names = [name for name in section.columns if name != "trained on"]
    settings = {name: text_of(value_of(name, line, section.lines)) for name in names}
    return {MODEL: line.base_model, METHOD: method(line.first), **settings}


def _across(labels: Sequence[Labels]) -> list[str]:
    differ = [name for name in (labels[0] if labels else ()) if len({own[name] for own in labels} - {""}) > 1]
    return [name for name in ACROSS if name in differ] or [name for name in differ if name != METHOD][:1] or differ[:1]


def _rows(drawn: Sequence[tuple[Line, Labels]], across: str) -> list[Row]:
    others = _needed([{name: value for name, value in own.items() if name != across} for _, own in drawn])
    drawn = _without_single_points(drawn, across, others)
    return [_row(line, ((across, own[across]), *((name, own[name]) for name in others))) for line, own in drawn]


def _without_single_points(
    drawn: Sequence[tuple[Line, Labels]], across: str, others: Sequence[str]
) -> Sequence[tuple[Line, Labels]]:
    """What is on a line of the picture, unless no two are: a point alone shows nothing of the setting."""
    values: dict[tuple[str, ...], set[str]] = {}
    for _, own in drawn:
        values.setdefault(_values(own, others), set()).add(own[across])
    return [(line, own) for line, own in drawn if len(values[_values(own, others)]) > 1] or drawn


def _needed(labels: Sequence[Labels]) -> list[str]:
    """The method if it differs, and the settings that tell apart what all of them do: what follows from others is left out."""
    names = list(labels[0])
    for name in reversed(names):
        if name == METHOD and len({own[name] for own in labels}) > 1:
            continue
        fewer = [other for other in names if other != name]
        if len({_values(own, fewer) for own in labels}) == len({_values(own, names) for own in labels}):
            names = fewer
    return names


def _values(labels: Labels, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(labels[name] for name in names)


def _row(line: Line, labels: tuple[tuple[str, str], ...]) -> Row:
    found = line.first
    facts = (found.task, found.method, line.base_model, found.parameters, found.protocol, " and ".join(line.metrics), found.n)
    return Row(labels, *facts, line.scores, line.invalid or 0.0, found.majority or 0.0, found.untuned or 0.0)
