"""Validation during training: every member scored on its own task, and which step was its best."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ptune_cli.evaluation.score import Scores
from ptune_cli.prompts.bank import Member
from ptune_cli.runs import RunFolder

INVALID = 1e-6  # of a point of the score; less than any example of a split counts


class Best:
    """The loop's evaluator. A member's best step has the highest score of its task; of equals, the fewest
    invalid answers (at 0% the one that has begun to answer in labels); then it is the earliest.

    Members that are one model have their best step `together`: that of the highest mean of their scores."""

    def __init__(
        self,
        bank: Sequence[Member],
        score: Callable[[Any], Mapping[str, Scores]],  # the trainable tree -> {member: its scores}
        headline: Mapping[str, Sequence[str]],  # {task: what its score is the mean of}
        keep: Callable[[int, Member, Any, Scores], None],  # called with a better step, its member, the trainable tree
        folder: RunFolder,
        together: bool = False,
    ):
        self._score, self._headline, self._keep, self._folder = score, headline, keep, folder
        self._groups = [list(bank)] if together else [[member] for member in bank]
        self.best: dict[str, dict] = {}  # {member: {"step": 200, "score": 81.2, "scores": {...}}}
        self._newest: float | None = None

    def __call__(self, step: int, trainable: Any) -> dict[str, float]:
        """Scores by "validation/metric/member", after keeping what is better than before."""
        found = self._score(trainable)
        for group in self._groups:
            self._consider(step, group, trainable, found)
        self._newest = _rank([(s.score, s.invalid) for s in found.values()])
        return {f"validation/{key}/{name}": value for name, s in found.items() for key, value in s.flat().items()}

    def memory(self) -> dict:
        return {"best": self.best}

    def recall(self, memory: dict) -> None:
        self.best = memory["best"]

    def rank(self) -> float | None:
        return self._newest

    def _consider(self, step: int, group: Sequence[Member], trainable: Any, found: Mapping[str, Scores]) -> None:
        """Keep a step of members that have theirs together, if it is their best."""
        new = _rank([(found[member.name].score, found[member.name].invalid) for member in group])
        kept = [self.best[member.name] for member in group if member.name in self.best]
        better = not kept or new > _rank([(own["score"], own["scores"]["invalid"]) for own in kept])
        mark = " *" if better else ""
        for member in group:
            scores, headline = found[member.name], " and ".join(self._headline[member.task])
            told = f"{headline} {scores.score:.2f} ({scores.n} examples, {scores.invalid:.1f}% invalid)"
            print(f"step {step}: {member.name} {told}{mark if len(group) == 1 else ''}", file=sys.stderr)
            if better:
                self._keep_member(step, member, trainable, scores)
        if len(group) > 1:
            mean = np.mean([found[member.name].score for member in group])
            print(f"step {step}: mean of {len(group)} tasks {mean:.2f}{mark}", file=sys.stderr)

    def _keep_member(self, step: int, member: Member, trainable: Any, scores: Scores) -> None:
        self.best[member.name] = {"step": step, "score": scores.score, "scores": scores.flat()}
        self._keep(step, member, trainable, scores)
        lines = "".join(json.dumps(p.row(), ensure_ascii=False) + "\n" for p in scores.predictions)
        self._folder.write_bytes(f"predictions/{member.name}-validation.jsonl", lines.encode())


def _rank(scores: Sequence[tuple[float, float]]) -> float:
    """What orders steps, of (score, percent invalid) of each member: one number, by which checkpoints are kept as well."""
    return float(np.mean([score - INVALID * invalid for score, invalid in scores]))
