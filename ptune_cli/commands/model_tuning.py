"""Model tuning, the paper's strong baseline: the same step and loop, with all weights as the trainable tree."""

import sys
from typing import Any

import jax
import jax.numpy as jnp

from ptune_cli import base_model
from ptune_cli.commands.experiment import Experiment, Found, both_protocols
from ptune_cli.commands.trained import FOLDER, TUNED
from ptune_cli.errors import UserError
from ptune_cli.evaluation.score import Scores
from ptune_cli.prompts.bank import unchanged
from ptune_cli.runs import RunFolder
from ptune_cli.t5.config import parameter_shapes
from ptune_cli.t5.model import T5
from ptune_cli.training.loop import train
from ptune_cli.training.plan import Plan
from ptune_cli.training.step import Step, start, weight_loss


class ModelTuning(Experiment):
    """One member: its weights are a whole model. The best step is kept as a checkpoint until the end."""

    def check(self) -> None:
        if len(self.bank) > 1:
            raise UserError(
                f"model tuning trains one model a run, and this one has {len(self.bank)} members: {', '.join(self.names)}",
                "give one task and one seed, and another output for each",
            )
        dtype = self.settings.model.weights_dtype
        if dtype != "float32":
            raise UserError(f"the weights would be tuned in {dtype}", "give --model.weights_dtype float32")
        super().check()

    def added_length(self) -> int:
        return 0

    def plan(self) -> Plan:
        model = self.settings.model
        shapes = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in parameter_shapes(model.sizes()).items()}
        return Plan.of(self._step(T5(model.sizes())), base_model.nested(shapes), model, self.lengths, self.microbatch_rows)

    def run(self, folder: RunFolder) -> Found:
        settings, frozen, [member] = self.settings, self.settings.model.load(), self.bank
        scorer, nothing = self.scorer(frozen), jnp.zeros((1, frozen.config.emb_dim))

        def score(params: Any) -> dict[str, Scores]:
            found = scorer(params, nothing, [unchanged], self.validation(member.task), [settings.protocol])
            return {member.name: found[settings.protocol][0]}

        evaluator, step = self.evaluator(score, lambda *_: None, folder), self._step(frozen.model)
        state = train(
            start(frozen.params, step.optimizer),
            step,
            {},
            self.batches([unchanged]),
            evaluator,
            folder,
            steps=settings.steps,
            every=settings.every,
        )
        # `rank` orders checkpoints as `Best` orders steps, so this is the step that results.json names.
        best = folder.restore(state, folder.checkpoints.best_step)
        tuned = best[1].trainable if best else state.trainable
        base_model.save(folder.path / FOLDER, frozen.config, tuned, frozen.vocabulary)
        folder.write_json(f"{FOLDER}/{TUNED}", self.metadata(member, frozen))
        split = self.scored(member.task)
        print(f"scoring {self.what(member.task)}, before and after tuning", file=sys.stderr)
        frozen = settings.model.load()  # training took over the arrays of the first one
        [untuned] = both_protocols(scorer, frozen.params, nothing, [unchanged], split)
        [row] = both_protocols(scorer, tuned, nothing, [unchanged], split)
        row["model"] = str(folder.path / FOLDER)
        return frozen, {member.task: (untuned, [self.row(member, row, evaluator)])}

    def _step(self, model: T5) -> Step:
        return Step(weight_loss(model, self.settings.z_loss), self.settings.optimizer.build(None), self.names)
