"""`ptune ensemble`: several prompts of one task answer together, in one pass over one model (the paper's Table 3)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ptune_cli.base_model import BaseModel
from ptune_cli.commands import ensemble_file, trained
from ptune_cli.commands.eval import Eval
from ptune_cli.commands.trained import Trained
from ptune_cli.data.prepared import Prepared
from ptune_cli.errors import UserError
from ptune_cli.evaluation.predict import Protocol
from ptune_cli.evaluation.score import Scores, answers_of, metrics_of, percent_invalid
from ptune_cli.evaluation.vote import majority_vote, mean_log_likelihood
from ptune_cli.file_task import shown
from tasks.benchmarks import BENCHMARKS

Row = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Score prompts of one task apart and together: their majority vote and, with rank, their mean log-likelihood.

    The prompts may have any lengths. Of several tasks, each has its own ensemble. Its scores are kept in the folder `ensembles`
    of the (first) run, where `ptune report` finds them.

    Example: ptune ensemble runs/demo --split test
    """

    prompt: tuple[str, ...] = field(metadata={"positional": True})  # run folders, or a prompt's folder or file
    task: str | None = None  # for all the prompts; default: the task that each was trained on
    split: str = "validation"
    protocol: Protocol | None = None  # rank scores each label; default: as in training
    target_length: int | None = None  # tokens to decode at most; default: as in training, or the longest target
    model: BaseModel | None = None  # default: the base model the prompts name
    positions: int | None = None  # computed at once, prompt included; default: what is fastest here
    offline: bool = False  # download no dataset
    json: bool = field(default=False, metadata={"saved": False})  # print the scores as JSON

    def run(self) -> None:
        """One pass over the model for all prompts of a task; print them side by side."""
        if self.task in BENCHMARKS:
            raise UserError(f"{self.task} is a benchmark", "name a task, or leave --task out: each has its ensemble")
        settings = {name: getattr(self, name) for name in ("task", "split", "protocol", "target_length", "model", "positions")}
        evaluation = Eval(prompt=self.prompt, offline=self.offline, **settings)
        members = trained.find(*self.prompt)
        found, splits = evaluation.found(members)
        tables = {task: compare(splits[task], list(own.items())) for task, own in found.items()}
        if self.json:
            print(json.dumps({"split": self.split, "tasks": tables}, indent=2))
        for task, prompts in evaluation.tasks(members).items():
            self._keep(task, prompts, splits[task], tables[task])

    def _keep(self, task: str, prompts: Sequence[Trained], split: Prepared, rows: Mapping[str, Row]) -> None:
        """Show an ensemble, and write its file."""
        console = Console()
        if not self.json:
            console.print(_table(f"{shown(task)}, {self.split} split (percent)", rows))
        file = ensemble_file.write(prompts, task, self.split, split, self.protocol or prompts[0].protocol, rows)
        if file and not self.json:
            console.print(str(file), highlight=False, markup=False, soft_wrap=True)


def compare(split: Prepared, members: Sequence[tuple[str, Scores]]) -> dict[str, Row]:
    """{member, or what is made of all: its metrics}. The best is the best on this very split, as in the paper's table.

    UserError for a single prompt.
    """
    if len(members) < 2:
        raise UserError(f"an ensemble needs several prompts, not {members[0][0]} alone", "name more runs or prompts")
    rows: dict[str, Row] = {name: scores.flat() for name, scores in members}
    each = [scores for _, scores in members]
    rows["average"] = {key: float(np.mean([scores.flat()[key] for scores in each])) for key in each[0].flat()}
    rows["best"] = max(each, key=lambda scores: scores.score).flat()
    said = [[prediction.answer for prediction in scores.predictions] for scores in each]
    rows["majority vote"] = _scored(split, majority_vote(said))
    likelihoods = [[prediction.scores or {} for prediction in scores.predictions] for scores in each]
    if all(likelihoods[0]):
        rows["mean log-likelihood"] = _scored(split, answers_of(split, mean_log_likelihood(likelihoods)))
    return rows


def _scored(split: Prepared, answers: Sequence[Any]) -> Row:
    return {**metrics_of(split, answers), "n": len(answers), "invalid": percent_invalid(answers)}


def _table(title: str, rows: Mapping[str, Row]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for column in next(iter(rows.values())):
        table.add_column(column, justify="right")
    for name, row in rows.items():
        if name == "average":  # what is made of all stands apart
            table.add_section()
        table.add_row(name, *(f"{v:.0f}" if k == "n" else f"{v:.1f}" for k, v in row.items()))
    return table
