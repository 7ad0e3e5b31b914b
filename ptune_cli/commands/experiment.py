"""A run whose data is at hand: what prompt tuning, model tuning and prompt design have in common."""

import functools
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import jax
import numpy as np

from ptune_cli import __version__, gin_text
from ptune_cli.base_model import Frozen
from ptune_cli.data.batches import Batches
from ptune_cli.data.examples import Drawn, Lengths, Source
from ptune_cli.data.limits import limits
from ptune_cli.data.microbatches import Cost
from ptune_cli.data.prepared import Prepared
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.device import cost_here
from ptune_cli.evaluation.predict import Predictor, Protocol
from ptune_cli.evaluation.score import Scorer, Scores
from ptune_cli.file_task import absolute, shown
from ptune_cli.mesh import placement
from ptune_cli.prompts.bank import Member, unchanged
from ptune_cli.runs import RunFolder
from ptune_cli.t5.sharding import Placement
from ptune_cli.training.best import Best
from ptune_cli.training.plan import Work

if TYPE_CHECKING:
    from ptune_cli.commands.train import Train

Layout = Callable[[np.ndarray], np.ndarray]
AnyLayout = TypeVar("AnyLayout", bound=Layout)
Row = dict[str, Any]  # what results.json says of a member
Found = tuple[Frozen, dict[str, tuple[Row, list[Row]]]]
"""The model, and for each task the scores of the model alone and the rows of its members."""


@dataclass(frozen=True)
class Experiment(ABC):
    """A method at work on `settings`: its members, their data, and the limits that the data is cut to."""

    settings: "Train"
    bank: Sequence[Member]
    splits: Mapping[tuple[str, str], Prepared]  # by task and split
    vocabulary: Vocabulary

    @abstractmethod
    def added_length(self) -> int:
        """The most positions that this method puts around an input."""

    @abstractmethod
    def work(self) -> Work:
        """What training computes, without loading the model. UserError for a method that does not train."""

    @abstractmethod
    def run(self, folder: RunFolder) -> Found:
        """All the work, and what came of it."""

    def check(self) -> None:
        """UserError for lengths that do not work, before any weight is read. Tells what is cut."""
        self.batches([unchanged] * len(self.bank))

    @functools.cached_property
    def lengths(self) -> Lengths:
        """What examples are cut to. UserError if targets are."""
        settings = self.settings
        found, notes = limits(
            self.splits, settings.input_length, settings.target_length, settings.truncate_targets, self.added_length()
        )
        for note in notes:
            print(note, file=sys.stderr)
        return found

    @functools.cached_property
    def names(self) -> list[str]:
        return [member.name for member in self.bank]

    def training(self, task: str) -> Prepared:
        """What a task is trained on."""
        return self.splits[task, self.settings.train_split]

    def validation(self, task: str) -> Prepared:
        """What chooses the best step."""
        return self.splits[task, self.settings.choosing_split]

    def scored(self, task: str) -> Prepared:
        """What the best step is scored on."""
        return self.splits[task, self.settings.scored_split]

    def what(self, task: str) -> str:
        """What is scored at the end, for people."""
        return f"{shown(task)} {self.settings.scored_split}: {len(self.scored(task))} examples"

    @functools.cached_property
    def cost(self) -> Cost:
        """What microbatches of this run take on this device."""
        return cost_here(self.settings.positions, self.settings.model.sizes(), self.held_bytes(), self.placement)

    @functools.cached_property
    def placement(self) -> Placement:
        """Where weights and rows lie. UserError for a mesh that cannot be."""
        return placement(self.settings.mesh, self.settings.model.sizes(), self.held_bytes())

    def held_bytes(self) -> int:
        """What stays in memory, besides activations."""
        return self.settings.model.weight_bytes()

    def batches(self, layouts: Sequence[Layout]) -> Batches:
        """The order and layout of every step's rows."""
        settings = self.settings
        return Batches(self.drawn(layouts), settings.batch_size, self.lengths, self.cost, settings.packing)

    def drawn(self, layouts: Sequence[Layout]) -> Sequence[Drawn]:
        """What each of those that train, a member or all of them, draws its rows from."""
        return self.sources(layouts)

    def sources(self, layouts: Sequence[Layout]) -> list[Source]:
        """What each member is trained on."""
        return [
            Source(self.training(member.task), member.seed, place, self.training(member.task).targets_end)
            for member, place in zip(self.bank, layouts, strict=True)
        ]

    def mixture(self) -> dict[str, float]:
        """{task: percent of the examples} of one model that is trained on several tasks; empty where there is no such."""
        return {}

    def scorer(self, frozen: Frozen) -> Scorer:
        return Scorer(Predictor(frozen.model, self.cost, self.lengths, placement=self.placement), frozen.vocabulary)

    def evaluator(
        self,
        score: Callable[[Any], Mapping[str, Scores]],
        keep: Callable[[int, Member, Any, Scores], None],
        folder: RunFolder,
        together: bool = False,
    ) -> Best:
        """Scores every member on its own task's validation split, and keeps its best step, or that of all `together`."""
        return Best(self.bank, score, {m.task: self.validation(m.task).headline for m in self.bank}, keep, folder, together)

    def row(self, member: Member, scores: Row, evaluator: Best | None = None) -> Row:
        """A member's line in results.json; with the step that it validated best at, if it was trained."""
        row = {**scores, "member": member.name, "seed": member.seed}
        best = evaluator.best[member.name] if evaluator else None
        return row if best is None else {**row, "best_step": best["step"], "validation": best["score"]}

    def metadata(self, member: Member, frozen: Frozen) -> Row:
        """What is written beside a prompt or a tuned model: what it belongs to, and how it was made."""
        return {
            "base_model": frozen.name,
            "base_fingerprint": frozen.fingerprint,
            "vocabulary_sha256": frozen.vocabulary.sha256,
            "task": absolute(member.task),
            "seed": member.seed,
            "model": self.settings.model.as_json(),
            "input_length": self.settings.input_length,
            "target_length": self.lengths.targets,
            "protocol": self.settings.protocol,
            "recipe": gin_text.write(self.settings),
            "ptune_version": __version__,
        }

    def by_task(self, layouts: Sequence[AnyLayout]) -> dict[str, list[tuple[Member, AnyLayout]]]:
        """The members of each task, with their layouts."""
        found: dict[str, list[tuple[Member, AnyLayout]]] = {}
        for member, place in zip(self.bank, layouts, strict=True):
            found.setdefault(member.task, []).append((member, place))
        return found


def both_protocols(
    scorer: Scorer, params: Any, prompt_table: jax.Array | np.ndarray, layouts: Sequence[Layout], split: Prepared
) -> list[Row]:
    """Of each layout, the metrics of greedy decoding and, if there are labels, of ranking; and the share of invalid answers."""
    out: list[Row] = [{} for _ in layouts]
    protocols: list[Protocol] = ["greedy", "rank"] if split.labels else ["greedy"]
    for protocol, found in scorer(params, prompt_table, layouts, split, protocols).items():
        for row, scores in zip(out, found, strict=True):
            row.update({f"{protocol}_{name}": value for name, value in scores.metrics.items()})
            if protocol == "greedy":
                row["invalid"] = scores.invalid
    return out
