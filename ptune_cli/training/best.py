"""Validation during training: every member scored on its own task, its best prompt kept as its artifact."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ptune_cli.base_model import Frozen
from ptune_cli.data.prepared import Prepared
from ptune_cli.evaluation.predict import Protocol
from ptune_cli.evaluation.score import Scorer, Scores
from ptune_cli.formats.prompt import PromptFile, write
from ptune_cli.prompts.bank import Member, layout, slots, table
from ptune_cli.runs import RunFolder


class BestPrompts:
    """The loop's evaluator. A member's best step has the highest score of its task; of equals, the fewest
    invalid answers (at 0% the one that has begun to answer in labels); then it is the earliest."""

    def __init__(
        self,
        frozen: Frozen,
        bank: Sequence[Member],
        scorer: Scorer,
        protocol: Protocol,
        splits: Mapping[str, Prepared],  # {task: its validation split}
        folder: RunFolder,
        metadata: Callable[[Member], dict[str, Any]],
    ):
        self._frozen, self._bank, self._splits = frozen, bank, splits
        self._scorer, self._folder, self._metadata = scorer, folder, metadata
        self._protocol: Protocol = protocol
        self.best: dict[str, dict] = {}  # {member: {"step": 200, "score": 81.2, "scores": {...}}}
        self._newest: float | None = None

    def __call__(self, step: int, trainable: Mapping[str, Any]) -> dict[str, float]:
        """Scores by "validation/metric/member", after keeping what is better than before."""
        prompt_table = table(trainable, [member.name for member in self._bank])
        found: dict[str, Scores] = {}
        for task, split in self._splits.items():
            pairs = [(m, layout(m, s)) for m, s in zip(self._bank, slots(self._bank), strict=True) if m.task == task]
            layouts = [place for _, place in pairs]
            scores = self._scorer(self._frozen.params, prompt_table, layouts, split, [self._protocol])[self._protocol]
            found.update(zip((member.name for member, _ in pairs), scores, strict=True))
        for member in self._bank:
            self._consider(step, member, np.asarray(trainable[member.name]), found[member.name])
        self._newest = float(np.mean([found[member.name].score for member in self._bank]))
        return {f"validation/{key}/{name}": value for name, s in found.items() for key, value in s.flat().items()}

    def memory(self) -> dict:
        return {"best": self.best}

    def recall(self, memory: dict) -> None:
        self.best = memory["best"]

    def rank(self) -> float | None:
        return self._newest

    def _consider(self, step: int, member: Member, prompt: np.ndarray, scores: Scores) -> None:
        headline = " and ".join(self._splits[member.task].headline)
        score, before = scores.score, self.best.get(member.name)
        better = before is None or (score, -scores.invalid) > (before["score"], -before["scores"]["invalid"])
        mark = " *" if better else ""
        print(
            f"step {step}: {member.name} {headline} {score:.2f} ({scores.n} examples, {scores.invalid:.1f}% invalid){mark}",
            file=sys.stderr,
        )
        if better:
            self.best[member.name] = {"step": step, "score": score, "scores": scores.flat()}
            self._keep(step, member, prompt, scores)

    def _keep(self, step: int, member: Member, prompt: np.ndarray, scores: Scores) -> None:
        metadata = {**self._metadata(member), "step": step, "scores": scores.flat()}
        write(prompt_folder(self._folder.path, member.name), PromptFile(prompt.astype(np.float32), metadata))
        lines = "".join(json.dumps(p.row(), ensure_ascii=False) + "\n" for p in scores.predictions)
        self._folder.write_bytes(f"predictions/{member.name}-validation.jsonl", lines.encode())


def prompt_folder(run: Path, member: str) -> Path:
    """Where a run keeps a member's best prompt."""
    return run / "prompts" / member
