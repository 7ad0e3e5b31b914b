"""Model tuning, the paper's strong baseline: the same step and loop, with all weights as the trainable tree.

Of several tasks it is the paper's multi-task model tuning: one model, trained on a mixture of them.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ptune_cli import base_model
from ptune_cli.agreement import first, from_first
from ptune_cli.base_model import Frozen
from ptune_cli.commands import trained
from ptune_cli.commands.experiment import Experiment, Found, Layout, Row, both_protocols
from ptune_cli.commands.trained import FOLDER, TUNED
from ptune_cli.data.mixture import Mixture, alike
from ptune_cli.errors import UserError
from ptune_cli.evaluation.score import Scores
from ptune_cli.file_task import absolute, shown
from ptune_cli.prompts.bank import unchanged
from ptune_cli.runs import RunFolder
from ptune_cli.t5.model import T5
from ptune_cli.training import restoring
from ptune_cli.training.loop import train
from ptune_cli.training.loss import weight_loss
from ptune_cli.training.plan import Work
from ptune_cli.training.step import Step, start


class ModelTuning(Experiment):
    """One model. Its members are what it is on each of its tasks; they have one best step, kept as a checkpoint until the end."""

    def check(self) -> None:
        seeds = self.settings.seeds
        if len(seeds) > 1:
            raise UserError(
                f"model tuning trains one model a run, and this one has {len(seeds)} seeds: {', '.join(map(str, seeds))}",
                "give one seed, and another output for each",
            )
        dtype = self.settings.model.weights_dtype
        if dtype != "float32":
            raise UserError(f"the weights would be tuned in {dtype}", "give --model.weights_dtype float32")
        super().check()
        for pair in alike({member.task: self.training(member.task) for member in self.bank}):
            print(
                f"{' and '.join(map(shown, pair))}: nothing in front of their inputs tells the model which task it answers; "
                "tasks of the catalog have a form with their own word in front (super_glue_boolq_v102)",
                file=sys.stderr,
            )

    def added_length(self) -> int:
        return 0

    def drawn(self, layouts: Sequence[Layout]) -> list[Mixture]:
        return [Mixture(self.sources(layouts), self.settings.mixing_limit)]

    def mixture(self) -> dict[str, float]:
        [mixed] = self.drawn(self._unchanged)
        return dict(zip(self.settings.tasks, mixed.rates, strict=True)) if len(self.bank) > 1 else {}

    def held_bytes(self) -> int:
        return 4 * super().held_bytes()  # weights, their gradients, and Adam's two moments

    def work(self) -> Work:
        model = self.settings.model
        return Work.of(self._step(), model.abstract(), model, self.batches(self._unchanged), self._unchanged)

    def run(self, folder: RunFolder) -> Found:
        settings, step, batches = self.settings, self._step(), self.batches(self._unchanged)
        with step.ahead(settings.model.abstract(), {}, batches.empties()):
            frozen = settings.model.load(self.placement)
            scorer, nothing = self.scorer(frozen), np.zeros((1, frozen.config.emb_dim), np.float32)

            def score(params: Any) -> dict[str, Scores]:
                found = {}
                for member in self.bank:
                    scores = scorer(params, nothing, [unchanged], self.validation(member.task), [settings.protocol])
                    [found[member.name]] = scores[settings.protocol]
                return found

            evaluator = self.evaluator(score, lambda *_: None, folder, together=True)
            state = start(frozen.params, step.optimizer, self.placement)
            state = train(state, step, {}, batches, evaluator, folder, steps=settings.steps, every=settings.every)
        # `rank` orders checkpoints as `Best` orders steps, so this is the step that results.json names.
        best = restoring.restore(folder, state, from_first(folder.checkpoints.best_step if first() else None))
        tuned = self.placement.put(best[1].trainable) if best else state.trainable
        base_model.save(folder.path / FOLDER, frozen.config, tuned, frozen.vocabulary)
        folder.write_json(f"{FOLDER}/{TUNED}", self._described(frozen))
        frozen, found = settings.model.load(self.placement), {}  # training took over the arrays of the first one
        for member in self.bank:
            split = self.scored(member.task)
            print(f"scoring {self.what(member.task)}, before and after tuning", file=sys.stderr)
            [untuned] = both_protocols(scorer, frozen.params, nothing, [unchanged], split)
            [row] = both_protocols(scorer, tuned, nothing, [unchanged], split)
            row["model"] = str(folder.path / FOLDER)
            found[member.task] = untuned, [self.row(member, row, evaluator)]
        return frozen, found

    @property
    def _unchanged(self) -> list[Layout]:
        return [unchanged] * len(self.bank)

    def _described(self, frozen: Frozen) -> Row:
        """What is written beside the model."""
        told = {name: value for name, value in self.metadata(self.bank[0], frozen).items() if name != "task"}
        return {**told, "tasks": [absolute(member.task) for member in self.bank]}

    def _step(self) -> Step:
        optimizer, model = self.settings.optimizer.build(None), T5(self.settings.model.sizes())
        return Step(weight_loss(model, self.settings.z_loss), optimizer, [trained.model_name(self.bank)], self.placement)
