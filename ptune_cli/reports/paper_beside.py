"""The paper's numbers that our runs can be set beside: the same task, metric, method and, in a transfer, the same training task.

They are the paper's, on other models than ours: each stands with its citation, in columns of its own.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ptune_cli.reports import paper
from ptune_cli.reports.report_cells import METHODS
from ptune_cli.reports.report_lines import Line, Section
from tasks.catalog import full_name

TASKLESS = "taskless_"
SQUAD = "squad_v010_allanswers"
MRQA = {
    "TextbookQA": "textbook_qa",
    "BioASQ": "bio_asq",
    "RACE": "race",
    "RE": "relation_extraction",
    "DuoRC": "duo_rc",
    "DROP": "drop",
}
GLUE = {name: (f"glue_{name.replace('-', '').lower()}_v200",) for name in ("SST-2", "MRPC", "QQP")}
SUPER_GLUE = {name: (f"super_glue_{name.lower()}_v102",) for name in ("BoolQ", "CB", "COPA", "MultiRC", "ReCoRD", "RTE", "WiC")}
WSC = ("super_glue_wsc_and_dev_v102_simple", "super_glue_wsc_v102_simple_eval")
RELEASED = {**GLUE, "RTE": ("glue_rte_v200", *SUPER_GLUE["RTE"])}  # the repository does not say which RTE
METRICS = {"exact match": ("em",), "f1": ("f1", "f1_macro")}  # other names are ours too


@dataclass(frozen=True)
class Beside:
    """A row of the paper, what it says there ("66.8±2.9"), and a line of ours with the scores of the same metric."""

    table: paper.Table
    named: str
    metric: str
    said: str
    section: Section
    line: Line
    scores: tuple[float, ...]

    @property
    def number(self) -> int:
        """The line's, in its task's table."""
        return self.section.lines.index(self.line) + 1


@dataclass(frozen=True)
class Wanted:
    """Which of our lines a row of the paper belongs to: {(trained on, scored on, its split or None for any)}."""

    places: frozenset[tuple[str, str, str | None]]
    method: str
    metric: str
    named: str
    said: str

    def is_of(self, source: str, task: str, split: str) -> bool:
        """Whether it belongs to what was trained on `source` and scored on this split of `task`."""
        place = _plain(source), _plain(task)
        return bool({(*place, None), (*place, split)} & self.places)

    def own_metric(self, metrics: Collection[str]) -> str | None:
        """Which of ours is its metric."""
        return next((name for name in METRICS.get(self.metric, (self.metric,)) if name in metrics), None)

    def scores(self, line: Line) -> tuple[float, ...] | None:
        """The line's, of the metric; None if it is of something else."""
        found, metric = line.first, self.own_metric(line.metrics)
        if metric is None or METHODS.get(found.method) != self.method or not self.is_of(found.source, found.task, found.split):
            return None
        return line.metrics[metric]


def beside(sections: Sequence[Section]) -> list[Beside]:
    """All matches, in the paper's order."""
    return [
        Beside(table, wanted.named, wanted.metric, wanted.said, section, line, scores)
        for name, rows in ROWS.items()
        for table in [paper.table(name)]
        for wanted in map(rows, table.rows)
        for section in sections
        for line in section.lines
        if (scores := wanted.scores(line)) is not None
    ]


def _plain(task: str) -> str:
    """A task's full name in the form with the dataset's word, as all forms of it are compared."""
    return full_name(task).removeprefix(TASKLESS)


def _domain_shift(row: Mapping[str, Any]) -> Wanted:
    name = MRQA.get(row["dataset"])
    own = {(SQUAD, SQUAD, None)} if name is None else {(SQUAD, f"mrqa_{name}_v100", None), (f"squad_to_{name}",) * 2 + ("test",)}
    return Wanted(frozenset(own), row["method"], row["metric"], f"SQuAD to {row['dataset']}", _spread(row))


def _paraphrase(row: Mapping[str, Any]) -> Wanted:
    source, target = row["trained_on"], row["tested_on"]
    translated = f"{target}_from_{source}".lower()
    zero_shot = f"glue_{translated}_zeroshot_v200"
    own = {(GLUE[source][0], f"glue_{translated}_v200", None), (zero_shot, zero_shot, "test")}
    return Wanted(frozenset(own), row["method"], row["metric"], f"{source} to {target}", _spread(row))


def ensembles_row(row: Mapping[str, Any]) -> Wanted:
    """What Table 3 says of a task, and whose it is."""
    said = f"average {row['average']}, best {row['best']}, ensemble of five {row['ensemble']}"
    return Wanted(_own({**SUPER_GLUE, "WSC": WSC}.get(row["task"], ())), "prompt tuning", row["metric"], row["task"], said)


def _released(row: Mapping[str, Any]) -> Wanted:
    return Wanted(_own(RELEASED[row["task"]]), "prompt tuning", row["metric"], row["task"], str(row["value"]))


def _own(tasks: Sequence[str]) -> frozenset[tuple[str, str, None]]:
    return frozenset((task, task, None) for task in tasks)


def _spread(row: Mapping[str, Any]) -> str:
    return f"{row['value']}±{row['std']}"


ROWS = {
    "domain_shift": _domain_shift,
    "paraphrase_transfer": _paraphrase,
    "ensembles": ensembles_row,
    "released_prompts": _released,
}
