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
    invalid answers (at 0% the one that has begun to answer in labels); then it is the earliest."""

    def __init__(
        self,
        bank: Sequence[Member],
        score: Callable[[Any], Mapping[str, Scores]],  # the trainable tree -> {member: its scores}
        headline: Mapping[str, Sequence[str]],  # {task: what its score is the mean of}
        keep: Callable[[int, Member, Any, Scores], None],  # called with a better step, its member, the trainable tree
        folder: RunFolder,
    ):
        self._bank, self._score, self._headline, self._keep, self._folder = bank, score, headline, keep, folder
        self.best: dict[str, dict] = {}  # {member: {"step": 200, "score": 81.2, "scores": {...}}}
        self._newest: float | None = None

    def __call__(self, step: int, trainable: Any) -> dict[str, float]:
        """Scores by "validation/metric/member", after keeping what is better than before."""
        found = self._score(trainable)
        for member in self._bank:
            self._consider(step, member, trainable, found[member.name])
        self._newest = float(np.mean([s.score - INVALID * s.invalid for s in found.values()]))
        return {f"validation/{key}/{name}": value for name, s in found.items() for key, value in s.flat().items()}

    def memory(self) -> dict:
        return {"best": self.best}

    def recall(self, memory: dict) -> None:
        self.best = memory["best"]

    def rank(self) -> float | None:
        return self._newest

    def _consider(self, step: int, member: Member, trainable: Any, scores: Scores) -> None:
        headline = " and ".join(self._headline[member.task])
        score, before = scores.score, self.best.get(member.name)
        better = before is None or (score, -scores.invalid) > (before["score"], -before["scores"]["invalid"])
        mark = " *" if better else ""
        print(
            f"step {step}: {member.name} {headline} {score:.2f} ({scores.n} examples, {scores.invalid:.1f}% invalid){mark}",
            file=sys.stderr,
        )
        if better:
            self.best[member.name] = {"step": step, "score": score, "scores": scores.flat()}
            self._keep(step, member, trainable, scores)
            lines = "".join(json.dumps(p.row(), ensure_ascii=False) + "\n" for p in scores.predictions)
            self._folder.write_bytes(f"predictions/{member.name}-validation.jsonl", lines.encode())
