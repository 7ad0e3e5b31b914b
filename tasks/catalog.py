"""The tasks that come with ptune, as a table: what training and scoring must know of a task without TensorFlow.

`module` holds `task(name, vocabulary_path) -> seqio.Task`, which only preparation imports.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is known of a task before its data is read."""

    module: str
    splits: tuple[str, ...] = ()
    """Empty: known only once the module is imported."""
    labels: tuple[str, ...] | None = None
    """The target texts of a classification task; None for free text, or if not known."""
    metrics: tuple[str, ...] = ("accuracy",)
    """Names in `tasks.metrics.METRICS`."""
    best_metric: str = "accuracy"
    """The metric that chooses the best step."""
    data_files: Mapping[str, str] = field(default_factory=dict)
    """{split: file} below tasks/, for data that comes with ptune."""


class UnknownTask(LookupError):
    """No such task; `choices` are the ones there are."""

    def __init__(self, name: str):
        super().__init__(f"no task '{name}'")
        self.choices = tuple(sorted(TASKS))


TASKS: dict[str, Entry] = {
    "gloss_topic": Entry(
        module="tasks.demo",
        splits=("train", "validation", "test"),
        labels=("animal", "food", "object", "person", "place", "plant"),
        metrics=("accuracy", "f1_macro"),
        best_metric="accuracy",
        data_files={split: f"data/gloss_topic/{split}.tsv" for split in ("train", "validation", "test")},
    ),
}


def lookup(name: str) -> Entry:
    """The entry of a task by its name here, or of the user's own "module:task".

    Raises:
        UnknownTask: the name is neither.
    """
    if name in TASKS:
        return TASKS[name]
    module, colon, task = name.partition(":")
    if not (module and colon and task):
        raise UnknownTask(name)
    return Entry(module=module)
