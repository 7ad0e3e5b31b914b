"""The results of a transfer, from its runs' evaluations alone: one row for each task and metric, methods side by side."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ptune_cli.reports import spread


@dataclass(frozen=True)
class Found:
    """One evaluation of a run: what that was trained on, by which method, and the file that has the result."""

    source: str
    method: str
    file: Path


@dataclass(frozen=True)
class Row:
    """Scores in percent of one metric on one task; of a method whose runs are missing there are none."""

    source: str
    task: str
    split: str
    metric: str
    protocol: str
    n: int
    scores: Mapping[str, tuple[float, ...]]  # {method: the seeds', in their order}

    @property
    def in_domain(self) -> bool:
        """Whether it is the task that was trained on."""
        return self.task == self.source

    @property
    def difference(self) -> float | None:
        """The first method's mean less the second's, in points; None unless there are both."""
        means = [spread.mean(scores) for scores in self.scores.values() if scores]
        return means[0] - means[1] if len(means) == 2 else None

    def as_json(self) -> dict:
        """The row with the mean and standard deviation of each method."""
        methods = {
            name: {"scores": scores, "mean": spread.mean(scores), "std": spread.std(scores)}
            for name, scores in self.scores.items()
            if scores
        }
        plain = {name: value for name, value in self.__dict__.items() if name != "scores"}
        return {**plain, "methods": methods, "difference": self.difference}


def collect(found: Iterable[Found], methods: Sequence[str]) -> list[Row]:
    """The rows, those of a source together and in the order of its evaluations; runs that differ in their seeds are joined."""
    results: dict[tuple[str, str, str], dict[str, list[dict]]] = {}
    for own in found:
        result = json.loads(own.file.read_text(encoding="utf-8"))
        results.setdefault((own.source, result["task"], result["split"]), {}).setdefault(own.method, []).append(result)
    order = list(dict.fromkeys(source for source, _, _ in results))
    keys = sorted(results, key=lambda key: order.index(key[0]))
    return [row for key in keys for row in _rows(*key, results[key], methods)]


def _rows(source: str, task: str, split: str, results: Mapping[str, list[dict]], methods: Sequence[str]) -> list[Row]:
    first = next(iter(results.values()))[0]
    return [
        Row(
            source,
            task,
            split,
            metric,
            first["protocol"],
            first["n"],
            {method: _scores(results.get(method, ()), metric) for method in methods},
        )
        for metric in first["headline"]
    ]


def _scores(results: Iterable[dict], metric: str) -> tuple[float, ...]:
    members = [member for result in results for member in result["members"].values()]
    return tuple(member[metric] for member in sorted(members, key=lambda member: member["seed"]))
