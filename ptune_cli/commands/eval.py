"""`ptune eval`: score trained prompts on a split of a task."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ptune_cli.agreement import first
from ptune_cli.base_model import BaseModel, Frozen
from ptune_cli.commands import benchmark, trained
from ptune_cli.commands.trained import Trained
from ptune_cli.compilation import keep_compiled
from ptune_cli.data.limits import limits
from ptune_cli.data.preparation import ensure
from ptune_cli.data.prepared import Prepared
from ptune_cli.errors import UserError
from ptune_cli.evaluation.predict import Protocol
from ptune_cli.evaluation.score import Scores
from ptune_cli.file_task import shown, with_templates
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.processes import Processes
from tasks.benchmarks import BENCHMARKS

Found = dict[str, dict[str, Scores]]  # {task: {member: its scores}}


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Score trained prompts on a split of the task they were trained on, or of another one.

    The task super_glue or glue is the whole benchmark: each of its tasks is answered by the prompt that was trained on it and
    validated best, the diagnostics by that of RTE or MNLI. `--submit` writes the files that its leaderboard takes.

    Example: ptune eval runs/demo --split test
    Example: ptune eval runs/small runs/record --task super_glue --split test --submit super_glue.zip
    """

    prompt: tuple[str, ...] = field(
        metadata={"positional": True}
    )  # run folders, or a prompt's folder or file; or one tuned model's
    task: str | None = None  # for all the prompts, or super_glue or glue; default: the task that each was trained on
    template: str | None = None  # inputs of a task that is a file: "premise: {premise}"
    target_template: str | None = None  # default: {targets}, {label} or {target}
    split: str = "validation"
    protocol: Protocol | None = None  # rank scores each label; default: as in training
    target_length: int | None = None  # tokens to decode at most; default: as in training, or the longest target
    model: BaseModel | None = None  # default: the base model the prompt names
    positions: int | None = None  # computed at once, prompt included; default: what is fastest here
    processes: Processes = Processes()  # of several, how they find each other
    mesh: str | None = None  # rows, weights split: data=4,model=2; default: what fits
    submit: str | None = None  # write a benchmark's answers to its test splits to this .zip file
    partial: bool = False  # a benchmark without the tasks that have no prompt
    output: str | None = None  # write every prediction to this .jsonl file
    offline: bool = False  # download no dataset
    json: bool = field(default=False, metadata={"saved": False})  # print the scores as JSON

    def run(self) -> None:
        """Load the model once, score all prompts of a task in one pass, print a row for each."""
        benchmark.check(self.task, self.split, self.submit)
        with self.processes.together():
            found, splits = self.found(trained.find(*self.prompt))
            if first():
                self._tell(found, splits)

    def _tell(self, found: Found, splits: dict[str, Prepared]) -> None:
        self._write(found)
        if self.task not in BENCHMARKS:
            self._show(found)
        elif self.submit:
            benchmark.submit(self.task, found, splits, self.submit, self.json)
        else:
            benchmark.show(self.task, found, self.split, self.json)

    def found(self, prompts: Sequence[Trained], loaded: Frozen | None = None) -> tuple[Found, dict[str, Prepared]]:
        """The scores of the prompts on their tasks, and the splits they are of. `loaded` is the model, where it is at hand."""
        keep_compiled()
        tasks = self.tasks(prompts)
        prompts = [prompt for own in tasks.values() for prompt in own]
        model = trained.base_model(prompts, self.model)
        splits = dict(
            zip(tasks, ensure([(task, self.split) for task in tasks], model.load_vocabulary(), offline=self.offline), strict=True)
        )
        frozen = trained.load(prompts, model, loaded, self.mesh)
        return {task: self.scores(frozen, own, task, splits[task]) for task, own in tasks.items()}, splits

    def tasks(self, prompts: Sequence[Trained]) -> dict[str, list[Trained]]:
        """Which prompts are scored on which task."""
        if self.task in BENCHMARKS:
            with_templates([self.task], self.template, self.target_template)  # refuses them
            return benchmark.assigned(self.task, prompts, self.split, self.partial)
        tasks: dict[str, list[Trained]] = {}
        for prompt in trained.whole(prompts) if self.task else prompts:
            [task] = with_templates([self.task or prompt.member.task], self.template, self.target_template)
            tasks.setdefault(task, []).append(prompt)
        if "" in tasks:
            raise UserError(f"{tasks[''][0].path} does not say its task", "give --task")
        return tasks

    def scores(self, frozen: Frozen, prompts: Sequence[Trained], task: str, split: Prepared) -> dict[str, Scores]:
        """The scores of each prompt on all examples of a split. Inputs that are cut are told of."""
        lengths, notes = limits({(task, self.split): split}, trained.input_length(prompts), self.target_length, True)
        for note in notes:
            print(note, file=sys.stderr)
        target_length = self.target_length or max(lengths.targets, *(prompt.target_length for prompt in prompts))
        scorer, protocol = trained.scorer(prompts, frozen, self.positions, target_length), self._protocol(prompts, task, split)
        found = scorer(frozen.params, trained.table(prompts), trained.layouts(prompts), split, [protocol])[protocol]
        return {prompt.member.name: scores for prompt, scores in zip(prompts, found, strict=True)}

    def _protocol(self, prompts: Sequence[Trained], task: str, split: Prepared) -> Protocol:
        """As asked for. The parts of a benchmark that have no labels to rank (ReCoRD, WSC, STS-B) are decoded, which is told."""
        protocol = self.protocol or prompts[0].protocol
        if protocol == "rank" and not split.labels and self.task in BENCHMARKS:
            print(f"{task} has no labels to rank: greedy", file=sys.stderr)
            return "greedy"
        return protocol

    def _write(self, found: Found) -> None:
        """Every prediction, one JSON object a line."""
        if self.output:
            each = [(task, name, p) for task, own in found.items() for name, s in own.items() for p in s.predictions]
            lines = [json.dumps({"member": name, "task": task, **p.row()}, ensure_ascii=False) + "\n" for task, name, p in each]
            write_atomically(Path(self.output).expanduser(), "".join(lines).encode())

    def _show(self, found: Found) -> None:
        if self.json:
            scores = {task: {name: scores.flat() for name, scores in own.items()} for task, own in found.items()}
            print(json.dumps({"split": self.split, "tasks": scores}, indent=2))
            return
        for task, own in found.items():
            table = Table(title=f"{shown(task)}, {self.split} split (percent)", title_justify="left")
            table.add_column("", no_wrap=True)
            for column in next(iter(own.values())).flat():
                table.add_column(column, justify="right")
            for name, scores in own.items():
                table.add_row(name, *(f"{v:.0f}" if k == "n" else f"{v:.1f}" for k, v in scores.flat().items()))
            Console().print(table)
