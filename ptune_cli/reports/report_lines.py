"""A report's lines: members that differ in their seeds alone are one, and what tells lines of a task apart is a column."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ptune_cli.config import settings as gin_settings
from ptune_cli.reports import spread
from ptune_cli.reports.deviations import NOT_RECORDED, TRAIN, Deviation, compare
from ptune_cli.reports.report_members import Scored, Settings, members
from ptune_cli.reports.run_folders import Run

# What is told in a column of its own, or does not matter to a score.
NO_COLUMN = ("output", "tasks", "seeds", "prompt_lengths", "test_split", "method", "protocol", "positions")
OF_MODEL = ("model.checkpoint", "model.vocabulary", "model.config")  # differ with the base model, which is a column
MODEL_CONFIG = "model.config."
# What means nothing to a method. Prompt design trains nothing.
UNUSED = {
    "prompt": ("design", "mixing_limit"),
    "model": ("design", "prompt"),
    "design": ("prompt", "optimizer", "steps", "batch_size", "z_loss", "every", "mixing_limit"),
}
ABSENT = object()


@dataclass(frozen=True)
class Line:
    """Scores in percent of what was made with the same settings, over its seeds. `metrics` has each headline metric's."""

    first: Scored  # a member that all but seed and scores are taken from
    base_model: str
    seeds: tuple[int, ...]
    metrics: Mapping[str, tuple[float, ...]]
    invalid: float | None
    runs: tuple[Path, ...]
    deviations: tuple[Deviation, ...]

    @property
    def scores(self) -> tuple[float, ...]:
        """Each seed's mean over the headline metrics."""
        return tuple(spread.mean(own) for own in zip(*self.metrics.values(), strict=True))

    @property
    def values(self) -> Settings:
        """The settings that may tell it from another line of its task."""
        found = self.first
        told = {"trained on": found.source, "scored on": found.split, "protocol": found.protocol}
        return told | {name: value for name, value in found.settings.items() if not _is_left_out(name, found.method)}


@dataclass(frozen=True)
class Section:
    """The lines of a task, and the settings that they differ in besides method and base model."""

    task: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def trained(self) -> tuple[Line, ...]:
        """The lines of what was trained on the task."""
        return tuple(line for line in self.lines if self.task in line.first.sources)


@dataclass(frozen=True)
class Twice:
    """A member that is there again in another run: its settings and its seed are the same."""

    again: Scored
    counted: Scored


def sections(runs: Iterable[Run], recipe: str) -> tuple[list[Section], list[Twice]]:
    """A section for each task, in the order in which the runs have them, and the members that count once.

    Lines are in the order of their settings, then of their models' sizes.

    UserError if there is no such recipe.
    """
    wanted = gin_settings.of_file(recipe, TRAIN)
    groups, twice = _groups(member for run in runs for member in members(run))
    lines = _with_models_told_apart([_line(group, wanted) for group in groups])
    tasks = dict.fromkeys(line.first.task for line in lines)
    return [_section(task, [line for line in lines if line.first.task == task]) for task in tasks], twice


def _groups(found: Iterable[Scored]) -> tuple[list[list[Scored]], list[Twice]]:
    groups: dict[str, dict[int, Scored]] = {}
    twice = []
    for member in found:
        group = groups.setdefault(_key(member), {})
        if member.seed in group:
            twice.append(Twice(member, group[member.seed]))
        else:
            group[member.seed] = member
    return [[group[seed] for seed in sorted(group)] for group in groups.values()], twice


def _key(member: Scored) -> str:
    """Equal for members that differ in their seeds alone."""
    settings = sorted(item for item in member.settings.items() if not _is_left_out(item[0], member.method))
    facts = (member.task, member.source, member.split, member.protocol, member.method, member.base_model, member.fingerprint)
    return repr((facts, settings))


def _is_left_out(name: str, method: str) -> bool:
    """Whether a setting is none that tells lines apart."""
    return name in NO_COLUMN or name.partition(".")[0] in UNUSED.get(method, ())


def _line(group: Sequence[Scored], recipe: Settings) -> Line:
    first = group[0]
    seeds = tuple(member.seed for member in group)
    run = {**first.settings, "seeds": seeds, "tasks": first.sources}
    return Line(
        first,
        first.base_model,
        seeds,
        {name: tuple(member.metrics[name] for member in group) for name in first.metrics},
        None if first.invalid is None else spread.mean([member.invalid or 0.0 for member in group]),
        tuple(dict.fromkeys(member.run for member in group)),
        tuple(compare(run, recipe)),
    )


def _with_models_told_apart(lines: Sequence[Line]) -> list[Line]:
    """Models of one name and different weights by their fingerprints' first eight digits."""
    weights: dict[str, set[str]] = {}
    for line in lines:
        weights.setdefault(line.base_model, set()).add(line.first.fingerprint)
    return [
        replace(line, base_model=f"{line.base_model} ({line.first.fingerprint[:8]})")
        if len(weights[line.base_model]) > 1
        else line
        for line in lines
    ]


def _section(task: str, lines: Sequence[Line]) -> Section:
    names = dict.fromkeys(name for line in lines for name in line.values)
    columns = tuple(name for name in names if _differs(name, lines))

    def place(line: Line) -> tuple:
        values = (value_of(name, line, lines) for name in columns)
        order = [(0, value, "") if isinstance(value, int | float) else (1, 0, str(value)) for value in values]
        return *order, line.first.method, line.first.parameters, line.base_model

    return Section(task, columns, tuple(sorted(lines, key=place)))


def _differs(name: str, lines: Sequence[Line]) -> bool:
    if name in OF_MODEL or name.startswith(MODEL_CONFIG):
        models = dict.fromkeys(line.base_model for line in lines)
        return any(_several(name, [line for line in lines if line.base_model == model]) for model in models)
    return _several(name, lines)


def _several(name: str, lines: Sequence[Line]) -> bool:
    values = [value_of(name, line, lines) for line in lines]
    return len({repr(value) for value in values if value is not ABSENT}) > 1


def value_of(name: str, line: Line, lines: Iterable[Line]) -> Any:
    """The line's value of a setting; NOT_RECORDED if its version of ptune had none.

    ABSENT if it is of another class's object, or means nothing to the line's method.
    """
    if name in line.values:
        return line.values[name]
    if _is_left_out(name, line.first.method):
        return ABSENT
    owner = name.rpartition(".")[0]
    alike = (other for other in lines if name in other.values and other.values.get(owner) == line.values.get(owner))
    return NOT_RECORDED if any(alike) else ABSENT
