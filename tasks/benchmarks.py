"""GLUE and SuperGLUE as a whole: the tasks of the catalog that they are made of, and whose prompt answers which.

Parts have the short names of `tasks.leaderboards`: "rte" is SuperGLUE's in one and GLUE's in the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tasks import catalog
from tasks.leaderboards import glue_score, super_glue_score

_TASKLESS = "taskless_"
_SUPER_GLUE = ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")
_GLUE = ("cola", "sst2", "mrpc", "qqp", "stsb", "qnli", "rte", "wnli")
_MNLI = ("mnli_matched", "mnli_mismatched", "ax")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Its parts are evaluated with the prompts of the tasks that it has training data for."""

    trained: Mapping[str, str]
    """{part: what the prompt that answers it was trained on}, in the order of the leaderboard."""
    names: Mapping[str, str]
    """{part, or what a prompt is trained on: the full name of its task, in the form with the dataset's word}."""
    score: Callable[[Mapping[str, Mapping[str, float]]], float]
    """From {part: {metric: value}} on the validation splits to the leaderboard's overall score."""

    def parts(self, split: str) -> list[str]:
        """The parts that have such a split; diagnostics have a test split alone."""
        return [part for part in self.trained if split in catalog.lookup(self.names[part]).splits]

    def part(self, task: str) -> str | None:
        """What a task, by its name or alias and in either form, is in this benchmark; None if it is no part of it."""
        name = catalog.full_name(task).removeprefix(_TASKLESS)
        return next((part for part, full in self.names.items() if full == name), None)

    def task(self, part: str, prompt_task: str) -> str:
        """The full name of a part's task, in the form (taskless or not) of the task that its prompt was trained on."""
        taskless = catalog.full_name(prompt_task).startswith(_TASKLESS)
        return f"{_TASKLESS if taskless else ''}{self.names[part]}"

    def alias(self, part: str) -> str:
        """What one types to train a prompt on a part."""
        full = f"{_TASKLESS}{self.names[part]}"
        return next(alias for alias, name in catalog.aliases().items() if name == full)


BENCHMARKS = {
    "super_glue": Benchmark(
        trained={**{part: part for part in _SUPER_GLUE}, "axb": "rte", "axg": "rte"},
        names={
            **{part: f"super_glue_{part}_v102" for part in (*_SUPER_GLUE, "axb", "axg")},
            "wsc": "super_glue_wsc_and_dev_v102_simple",
        },
        score=super_glue_score,
    ),
    "glue": Benchmark(
        trained={**{part: part for part in _GLUE}, **dict.fromkeys(_MNLI, "mnli")},
        names={**{part: f"glue_{part}_v200" for part in (*_GLUE, *_MNLI)}, "mnli": "glue_mnli_and_dev_v200"},
        score=glue_score,
    ),
}
