"""The points of a sweep: command lines of `ptune train`, checked before the first of them runs."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptune_cli import config
from ptune_cli.commands.train import Train
from ptune_cli.config import flags
from ptune_cli.errors import UserError
from ptune_cli.file_task import short_name

FILE, TASKS = "gin", "tasks"  # the axes whose values are gin files, and tasks


@dataclass(frozen=True)
class Run:
    """A command of `ptune train`, in a process of its own, and what it makes."""

    name: str
    arguments: tuple[str, ...]  # of `ptune train`
    folder: Path
    train: Train  # what they make
    text: str  # the resolved gin, which the run folder will hold

    @property
    def log(self) -> Path:
        """What its command prints; outside the run folder, which a mistaken command leaves as if it had never been."""
        return self.folder.parent / "logs" / f"{self.name}.log"

    def begun(self) -> bool:
        """Whether the folder is this run's, under this very configuration."""
        config_file = self.folder / "config.gin"
        return config_file.is_file() and config_file.read_text(encoding="utf-8") == self.text

    def finished(self) -> bool:
        """Whether it has its results."""
        return (self.folder / "results.json").is_file() and self.begun()


@dataclass(frozen=True)
class Point(Run):
    """A point of the grid as a run of its own. Points with equal `labels` differ in their seed alone."""

    labels: tuple[tuple[str, str], ...]  # (axis, value)

    @property
    def points(self) -> tuple["Point", ...]:
        """Itself: what a bank has several of."""
        return (self,)


def expand(base: Sequence[str], over: Sequence[str], output: str, flags: Sequence[str] = ()) -> list[Point]:
    """The grid of `over` ("NAME=VALUE VALUE", where NAME is a flag of `ptune train`, or gin for files) on the files `base`.

    Every point has `flags`, which win over all files.

    Seeds of prompts train together in one point; a method that trains one model a run gets a point for each seed.
    UserError for an axis without values, for two points of one name, and for any that `ptune train` would refuse to build.
    """
    axes = [_axis(text) for text in over]
    points = [point for labels in itertools.product(*axes) for point in _points(base, labels, Path(output), flags)]
    names = [point.name for point in points]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"two points are named '{twice[0]}'", "give each value once, and gin files different names")
    return points


def _axis(text: str) -> list[tuple[str, str]]:
    name, equals, values = text.partition("=")
    if not (name and equals and values.split()):
        raise UserError(f"'{text}' is no axis of a sweep", "expected NAME=VALUE VALUE, as in prompt.length=1 5 20")
    return [(name, value) for value in values.split()]


def _points(base: Sequence[str], labels: tuple[tuple[str, str], ...], output: Path, flags: Sequence[str]) -> list[Point]:
    arguments = [word for file in base for word in ("--gin", file)]
    # Files first: a flag wins over any of them.
    for name, value in sorted(labels, key=lambda label: label[0] != FILE):
        arguments += [f"--{name}", value]
    arguments += flags
    name = "-".join(called(*label) for label in labels) or "run"
    train, _ = resolve([*arguments, "--output", str(output / name)])
    if train.method != "model" or len(train.seeds) == 1:
        return [_point(name, labels, arguments, output)]
    return [_point(f"{name}-{seed}", labels, [*arguments, "--seeds", str(seed)], output) for seed in train.seeds]


def called(axis: str, value: str) -> str:
    """A value of an axis in the name of a run."""
    if axis == FILE:
        return Path(value).stem
    return short_name(value) if axis == TASKS else value.replace("/", "_")


def _point(name: str, labels: tuple[tuple[str, str], ...], arguments: Sequence[str], output: Path) -> Point:
    whole = [*arguments, "--output", str(output / name)]
    return Point(name, tuple(whole), output / name, *resolve(whole), labels)


def resolve(arguments: Sequence[str]) -> tuple[Train, str]:
    """What a command line of `ptune train` makes, and its resolved gin. UserError for a mistake in it."""
    given = flags.parse(Train, list(arguments))
    return config.load(Train, given.files, given.bindings, given.flags, given.search_paths)
