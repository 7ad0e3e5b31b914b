"""The evaluations of finished runs, each kept in its run's folder as soon as it is there, and never done twice."""

import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptune_cli.base_model import Frozen
from ptune_cli.commands import trained
from ptune_cli.commands.eval import Eval
from ptune_cli.data.fingerprint import locate
from ptune_cli.data.prepared import find
from ptune_cli.errors import RunFailure, UserError
from ptune_cli.file_task import shown
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.reports.run_folders import EVALUATIONS
from ptune_cli.sweeps.points import Point
from ptune_cli.sweeps.running import say


@dataclass(frozen=True)
class Evaluation:
    """What `ptune eval RUN --task TASK --split SPLIT` says of a run."""

    point: Point
    task: str
    split: str

    @property
    def command(self) -> str:
        """The same as a command line."""
        return f"ptune eval {self.point.folder} --task {self.task} --split {self.split}"

    def file(self) -> Path:
        """Its result, called as its prepared split is: of other rows, it is another. UserError for a task that is not there."""
        vocabulary = self.point.train.model.load_vocabulary()
        return self.point.folder / EVALUATIONS / f"{find(*locate(self.task, self.split), vocabulary).name}.json"

    def finished(self) -> bool:
        """Whether there is a result of these rows."""
        return self.file().is_file()

    def result(self, frozen: Frozen, offline: bool) -> dict:
        """The metrics of each member of the run, in percent. UserError if the split's answers are hidden."""
        run = str(self.point.folder)
        prompts = trained.find(run)
        found, splits = Eval(prompt=(run,), task=self.task, split=self.split, offline=offline).found(prompts, frozen)
        [(scores, split)] = [(own, splits[task]) for task, own in found.items()]
        if not all(score.metrics for score in scores.values()):
            raise UserError(f"the answers of {shown(self.task)} {self.split} are hidden", "give another --split")
        seeds = {prompt.member.name: prompt.member.seed for prompt in prompts}
        return {
            "task": self.task,
            "split": self.split,
            "protocol": self.point.train.protocol,
            "headline": list(split.headline),
            "n": len(split),
            "members": {name: {"seed": seeds[name], **score.flat()} for name, score in scores.items()},
        }


def evaluate(evaluations: Sequence[Evaluation], offline: bool) -> list[Evaluation]:
    """Do those that are not finished, loading the model of a run once; returns those that failed, having said why."""
    failed = []
    for _, own in itertools.groupby(evaluations, key=lambda evaluation: evaluation.point.name):
        failed += _evaluate_run(list(own), offline)
    return failed


def _evaluate_run(evaluations: Sequence[Evaluation], offline: bool) -> list[Evaluation]:
    failed, frozen = [], None
    for evaluation in evaluations:
        began, name = time.monotonic(), f"{evaluation.point.name} on {shown(evaluation.task)} {evaluation.split}"
        try:
            if evaluation.finished():
                continue
            frozen = frozen or _load(evaluation.point)
            result = evaluation.result(frozen, offline)
            write_atomically(evaluation.file(), (json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode())
            say(f"{name}: done ({time.monotonic() - began:.0f} s)")
        except (UserError, RunFailure) as error:
            say(f"{name}: failed: {error}")
            failed.append(evaluation)
    return failed


def _load(point: Point) -> Frozen:
    return trained.base_model(trained.find(str(point.folder)), None).load()
