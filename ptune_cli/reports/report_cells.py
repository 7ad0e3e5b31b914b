"""A task of a report as people read it: what its lines have in common, the cells of its table, its deviations from the recipe."""

from collections.abc import Iterable, Sequence
from typing import Any

from ptune_cli.file_task import shown
from ptune_cli.reports import spread
from ptune_cli.reports.deviations import Deviation
from ptune_cli.reports.report_lines import ABSENT, Line, Section, value_of
from ptune_cli.reports.report_members import Scored

METHODS = {"prompt": "prompt tuning", "model": "model tuning", "design": "prompt design"}
MULTI_TASK = " (multi-task)"
FACTS = {"scored on": "{} split", "protocol": "{}", "trained on": "trained on {}"}  # told above the table if all lines agree
SCORES = "In percent, mean±sample standard deviation over seeds."
DEVIATES = "deviates in"
DEVIATIONS = ("setting", "here", "recipe", "why it matters")


def title(section: Section) -> str:
    """The task, and what all its lines have in common: "boolq: validation split, greedy"."""
    values = section.lines[0].values
    own = [text.format(shown(values[name])) for name, text in FACTS.items() if name not in section.columns]
    elsewhere = any(line.first.source != section.task for line in section.lines)
    return f"{shown(section.task)}: {', '.join(own if elsewhere else own[:-1])}"


def method(found: Scored) -> str:
    """The method as the paper calls it."""
    return METHODS.get(found.method, found.method) + (MULTI_TASK if len(found.sources) > 1 else "")


def names(section: Section) -> tuple[str, ...]:
    """The columns of the table that are no scores."""
    return (*section.columns, "method", "model")


def cells(section: Section) -> list[list[str]]:
    """A header line, and a line for each of the section's; the first column is its number."""
    metrics = list(section.lines[0].metrics)
    scores = [" and ".join(metrics), *(metrics if len(metrics) > 1 else ())]
    header = ["#", *names(section), "n", "seeds", *scores, "invalid", "untuned", "majority", DEVIATES]
    return [header, *(_cells(number, line, section) for number, line in enumerate(section.lines, 1))]


def _cells(number: int, line: Line, section: Section) -> list[str]:
    found = line.first
    several = [spread.text(own) for own in line.metrics.values()] if len(line.metrics) > 1 else []
    return [
        str(number),
        *(text_of(value_of(name, line, section.lines)) for name in section.columns),
        method(found),
        line.base_model,
        str(found.n),
        str(len(line.seeds)),
        spread.text(line.scores),
        *several,
        *("" if value is None else f"{value:.1f}" for value in (line.invalid, found.untuned, found.majority)),
        str(len(line.deviations)),
    ]


def text_of(value: Any) -> str:
    """A setting's value in a table."""
    if value is ABSENT:
        return ""
    if isinstance(value, tuple | list):
        return " ".join(map(text_of, value)) or "none"
    return "none" if value is None else shown(value) if isinstance(value, str) else str(value)


def deviations(section: Section) -> list[list[str]]:
    """A line of DEVIATIONS for each setting that a line deviates in; which lines, where not all do in the same way."""
    by_setting: dict[str, list[tuple[int, Deviation]]] = {}
    for number, line in enumerate(section.lines, 1):
        for deviation in line.deviations:
            by_setting.setdefault(deviation.setting, []).append((number, deviation))
    return [[name, _here(own, len(section.lines)), text_of(own[0][1].recipe), own[0][1].why] for name, own in by_setting.items()]


def _here(found: Sequence[tuple[int, Deviation]], lines: int) -> str:
    values: dict[str, list[int]] = {}
    for number, deviation in found:
        values.setdefault(text_of(deviation.run), []).append(number)
    if len(values) == 1 and len(found) == lines:
        return next(iter(values))
    return ", ".join(f"{value} (#{_ranges(numbers)})" for value, numbers in values.items())


def _ranges(numbers: Iterable[int]) -> str:
    """1, 2, 3, 7 as "1-3, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
