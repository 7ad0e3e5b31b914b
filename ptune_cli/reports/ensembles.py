"""What `ptune ensemble` found of the runs' prompts (the paper's Table 3), as tables: their average, the best, and together."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptune_cli.file_task import shown
from ptune_cli.reports.run_folders import Run

AVERAGE, BEST, VOTE, LIKELIHOOD = TOGETHER = ("average", "best", "majority vote", "mean log-likelihood")
NAMES = ("run", "task", "scored on", "protocol", "model", "metric")  # the columns that are no numbers
HEADER: tuple[str, ...] = ("#", *NAMES[:-1], "n", "prompts", NAMES[-1], *TOGETHER)
TITLE = "Ensembles"
NOTE = "In percent. The best prompt is the best on this very split, as in the paper's table."


@dataclass(frozen=True)
class Ensemble:
    """Prompts of one run (or with others of other runs) on a split of a task. `scores` are of the headline metrics."""

    run: Path
    task: str
    sources: tuple[str, ...]  # the tasks that the prompts were trained on
    split: str
    protocol: str
    base_model: str
    n: int
    members: Mapping[str, Mapping[str, float]]
    scores: Mapping[str, Mapping[str, float]]  # {"majority vote": {metric: percent}}, of `TOGETHER`

    @property
    def metrics(self) -> list[str]:
        return list(self.scores[AVERAGE])

    def row(self, metric: str) -> dict[str, Any]:
        """A line of the table in full precision; "" for what there is not."""
        facts = (str(self.run), shown(self.task), self.split, self.protocol, self.base_model, self.n, len(self.members), metric)
        scores = [self.scores[name][metric] if name in self.scores else "" for name in TOGETHER]
        return dict(zip(HEADER[1:], (*facts, *scores), strict=True))

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {**self.__dict__, "run": str(self.run)}


def collect(runs: Iterable[Run]) -> list[Ensemble]:
    """Those of the runs, the same tasks together."""
    found = [_read(run.folder, content) for run in runs for content in run.ensembles]
    order = list(dict.fromkeys(own.task for own in found))
    return sorted(found, key=lambda own: order.index(own.task))


def _read(run: Path, content: Mapping[str, Any]) -> Ensemble:
    def scores(row: Mapping[str, float]) -> dict[str, float]:
        return {metric: row[metric] for metric in content["headline"]}

    return Ensemble(
        run,
        content["task"],
        tuple(content["trained_on"]),
        content["split"],
        content["protocol"],
        content["base_model"],
        content["n"],
        {name: scores(row) for name, row in content["members"].items()},
        {name: scores(content[name]) for name in TOGETHER if name in content},
    )


def cells(ensembles: Sequence[Ensemble]) -> list[list[str]]:
    """A header line, and a line for each metric of each; the first column is the ensemble's number."""
    lines = [[str(number), *_texts(own.row(metric))] for number, own in enumerate(ensembles, 1) for metric in own.metrics]
    return [list(HEADER), *lines]


def _texts(row: Mapping[str, Any]) -> list[str]:
    return [f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values()]


def as_csv(ensembles: Sequence[Ensemble]) -> str:
    """A row for each metric of each, in full precision."""
    out = io.StringIO()
    writer = csv.DictWriter(out, HEADER[1:], lineterminator="\n")
    writer.writeheader()
    writer.writerows(own.row(metric) for own in ensembles for metric in own.metrics)
    return out.getvalue()
