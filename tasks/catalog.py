"""The tasks that come with ptune, as a table: what training and scoring must know of a task without TensorFlow.

Each family (`super_glue`, `glue`, `question_answering`, `transfer`, `demo`) is a table of its own; this module holds what
their rows are made of, and finds a task by its name or alias. `Entry.module` holds `task(name, vocabulary_path) ->
seqio.Task`, which only preparation imports.
"""

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

FAMILIES = ("tasks.demo", "tasks.super_glue", "tasks.sentinel", "tasks.glue", "tasks.question_answering", "tasks.transfer")
SENTINEL = "<extra_id_0>"  # the first


@dataclass(frozen=True, kw_only=True)
class Text:
    """How a row becomes inputs and targets: a function of `tasks.formatting`, and what it needs to know."""

    kind: str = "fields"
    fields: tuple[tuple[str, str], ...] = ()
    """(name as shown, field of the row), in the order in which they are shown."""
    labels: tuple[str, ...] = ()
    """The words of the classes 0, 1, ... of the row's `label`."""
    word: str = ""
    """What every input begins with: the dataset's name and a space, or nothing in the taskless form."""
    only_true: bool = False
    """Leave out the rows whose label is not 1."""
    sentinel: bool = False
    """Begin every target with SENTINEL, as those of span corruption do (Lester et al. 2021, 2.2)."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is known of a task before its data is read."""

    module: str = "tasks.seqio_tasks"
    group: str = ""
    """The heading that `ptune tasks` lists it under."""
    source: str | None = None
    """The TFDS dataset, with config and version."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """{split: the source's name of it}. Empty: known only once the module is imported."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """{split: rows of the source}, where known."""
    text: Text = Text()
    labels: tuple[str, ...] | None = None
    """The target texts of a classification task, in the order of their classes; None for free text, or if not known."""
    first_words: tuple[str, ...] = ()
    """What a prompt for free text starts from, where one for classes starts from their labels."""
    postprocess: str = "label"
    """A name in `tasks.postprocessors.POSTPROCESSORS`."""
    metrics: tuple[str, ...] = ("accuracy",)
    """Names in `tasks.metrics.METRICS`."""
    headline: tuple[str, ...] = ("accuracy",)
    """The scores whose mean is the task's score: it chooses the best step, and stands in the leaderboard's average."""
    data_files: Mapping[str, str] = field(default_factory=dict)
    """{split: file below tasks/}, for data that comes with ptune."""
    parts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """{split: (task, its split)} of a task that is put together from others, in whole or but for its test split."""

    @property
    def has_data(self) -> bool:
        """Whether it has rows of its own, besides those of its parts."""
        return bool(self.source or self.data_files)


class UnknownTask(LookupError):
    """No such task; `choices` are the ones there are."""

    def __init__(self, name: str):
        super().__init__(f"no task '{name}'")
        self.choices = tuple(sorted([*tasks(), *aliases()]))


@functools.cache
def tasks() -> dict[str, Entry]:
    """All tasks by their full names, in the order of their families."""
    return {name: entry for family in FAMILIES for name, entry in importlib.import_module(family).TASKS.items()}


@functools.cache
def aliases() -> dict[str, str]:
    """{short name: full name}: what people type; the paper's form of each task."""
    return {short: name for family in FAMILIES for short, name in importlib.import_module(family).ALIASES.items()}


def full_name(name: str) -> str:
    """The full name of a task of the catalog that may be given by its alias; any other name as it is."""
    return aliases().get(name, name)


def lookup(name: str) -> Entry:
    """The entry of a task by its name or alias here, or of the user's own "module:task".

    Raises:
        UnknownTask: the name is none of them.
    """
    name = full_name(name)
    if name in tasks():
        return tasks()[name]
    module, colon, task = name.partition(":")
    if not (module and colon and task):
        raise UnknownTask(name)
    return Entry(module=module)


def locate(name: str, split: str) -> tuple[str, str]:
    """(task, split) under which a split is prepared: full names, and the part of a task that is put together from others."""
    parts = lookup(name).parts
    return parts[split] if split in parts else (full_name(name), split)


def with_taskless(name: str, word: str, entry: Entry) -> dict[str, Entry]:
    """Both forms of a task: with the dataset's word in front, as T5 was trained, and without, as in the paper."""
    plain = replace(entry, text=replace(entry.text, word=f"{word} "))
    return {f"taskless_{name}": entry, name: plain}
