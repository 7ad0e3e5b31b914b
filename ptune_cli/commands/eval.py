"""`ptune eval`: score trained prompts on a split of a task."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ptune_cli.base_model import BaseModel
from ptune_cli.commands import trained
from ptune_cli.compilation import keep_compiled
from ptune_cli.data.limits import limits
from ptune_cli.data.preparation import ensure
from ptune_cli.errors import UserError
from ptune_cli.evaluation.score import Scores
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.prompts.bank import layout, slots


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Score a trained prompt, or all prompts of a run, on a split of a task.

    Example: ptune eval runs/demo --task gloss_topic --split test
    """

    prompt: str = field(metadata={"positional": True})  # a run folder, or a prompt's folder or file
    task: str | None = None  # default: the task it was trained on
    split: str = "validation"
    protocol: str | None = None  # greedy or rank; default: as in training
    model: BaseModel | None = None  # default: the base model the prompt names
    batch_size: int = 64
    output: str | None = None  # write every prediction to this .jsonl file
    json: bool = field(default=False, metadata={"saved": False})  # print the scores as JSON

    def run(self) -> None:
        """Load the model once, score all prompts in one pass, print a row for each."""
        keep_compiled()
        prompts = trained.find(self.prompt)
        task = self.task or prompts[0].member.task
        if not task:
            raise UserError(f"{self.prompt} does not say its task", "give --task")
        frozen = trained.load(prompts, self.model)
        (split,) = ensure([(task, self.split)], frozen.vocabulary)
        lengths, notes = limits({(task, self.split): split}, prompts[0].input_length, None, False)
        target_length = max(lengths.targets, *(prompt.target_length for prompt in prompts))
        scorer = trained.scorer(prompts, frozen, self.batch_size, target_length, self.protocol)
        members = [prompt.member for prompt in prompts]
        layouts = [layout(member, rows) for member, rows in zip(members, slots(members), strict=True)]
        found = scorer(frozen.params, trained.table(prompts), layouts, split)
        self._show({member.name: scores for member, scores in zip(members, found, strict=True)}, task, scorer.protocol, notes)

    def _show(self, found: dict[str, Scores], task: str, protocol: str, notes: list[str]) -> None:
        if self.output:
            rows = [{"member": name, **p.row()} for name, scores in found.items() for p in scores.predictions]
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            write_atomically(Path(self.output), lines.encode())
        if self.json:
            scores = {name: scores.flat() for name, scores in found.items()}
            print(json.dumps({"task": task, "split": self.split, "protocol": protocol, "scores": scores}, indent=2))
            return
        console = Console()
        for note in notes:
            console.print(note, highlight=False)
        columns = list(next(iter(found.values())).flat())
        table = Table(title=f"{task}, {self.split} split, {protocol} (percent)", title_justify="left")
        table.add_column("", no_wrap=True)
        for column in columns:
            table.add_column(column, justify="right")
        for name, scores in found.items():
            table.add_row(name, *(f"{v:.0f}" if k == "n" else f"{v:.1f}" for k, v in scores.flat().items()))
        console.print(table)
