"""The results of a sweep, from its run folders alone: one row for each task and each point, over its seeds."""

import json
import statistics
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ptune_cli.reports import spread

Labels = tuple[tuple[str, str], ...]  # (axis, value)


class Part(NamedTuple):
    """What a finished run has of one point: all of its members, or these."""

    labels: Labels
    folder: Path
    members: Collection[str] | None = None


@dataclass(frozen=True)
class Row:
    """Scores in percent of one point on one task. `scores` are the seeds', of the task's headline metrics' mean."""

    labels: Labels
    task: str
    method: str
    base_model: str
    parameters: int
    protocol: str
    metric: str
    n: int
    scores: tuple[float, ...]
    invalid: float  # mean share of outputs that are no valid answer, decoded greedily
    majority: float
    untuned: float

    @property
    def mean(self) -> float:
        return spread.mean(self.scores)

    @property
    def std(self) -> float | None:
        """The sample standard deviation over seeds; None for one."""
        return spread.std(self.scores)

    def as_json(self) -> dict:
        return {**self.__dict__, "labels": dict(self.labels), "mean": self.mean, "std": self.std}


def collect(parts: Iterable[Part]) -> list[Row]:
    """The rows of finished runs; parts of equal labels are joined, as they differ in their seeds."""
    found: dict[tuple[Labels, str], list[Row]] = {}
    for part in parts:
        content = json.loads((part.folder / "results.json").read_text(encoding="utf-8"))
        for task, result in content["tasks"].items():
            members = [row for row in result["members"] if part.members is None or row["member"] in part.members]
            if members:
                found.setdefault((part.labels, task), []).append(_row(part.labels, task, content, {**result, "members": members}))
    return [_joined(rows) for rows in found.values()]


def _row(labels: Labels, task: str, content: dict, result: dict) -> Row:
    protocol, headline = content["protocol"], result["headline"]

    def score(found: dict, prefix: str = f"{protocol}_") -> float:
        return statistics.fmean(found[f"{prefix}{name}"] for name in headline)

    return Row(
        labels,
        task,
        content["method"],
        content["base_model"],
        content["parameters"],
        protocol,
        " and ".join(headline),
        result["n"],
        tuple(score(member) for member in result["members"]),
        statistics.fmean(member["invalid"] for member in result["members"]),
        score(result["majority"], ""),
        score(result["untuned"]),
    )


def _joined(rows: list[Row]) -> Row:
    first = rows[0]
    scores = tuple(score for row in rows for score in row.scores)
    invalid = sum(row.invalid * len(row.scores) for row in rows) / len(scores)
    return Row(**{**first.__dict__, "scores": scores, "invalid": invalid})
