"""Prompt tuning (Lester et al. 2021): a bank of prompts, learned in front of a frozen T5."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli.agreement import first, from_first
from ptune_cli.base_model import Frozen
from ptune_cli.commands.experiment import Experiment, Found, Layout, both_protocols
from ptune_cli.evaluation.score import Scores
from ptune_cli.formats.prompt import PromptFile, prompt_folder, read, write
from ptune_cli.prompts.bank import Member, layout, slots, table, unchanged
from ptune_cli.prompts.init import ClassLabels, first_key
from ptune_cli.runs import RunFolder
from ptune_cli.t5.model import T5
from ptune_cli.training.loop import train
from ptune_cli.training.loss import prompt_loss
from ptune_cli.training.plan import Work
from ptune_cli.training.step import Step, start
from tasks import catalog
from tasks.postprocessors import bare


class PromptTuning(Experiment):
    """All members train together over one loaded model; each keeps the prompt of its own best step."""

    def added_length(self) -> int:
        return max(member.prompt.length for member in self.bank)

    def work(self) -> Work:
        return Work.of(self._step(), self._abstract(), self.settings.model, self.batches(self.layouts), self.layouts)

    def run(self, folder: RunFolder) -> Found:
        settings, layouts, step = self.settings, self.layouts, self._step()
        batches = self.batches(layouts)
        with step.ahead(self._abstract(), settings.model.abstract(), batches.empties()):
            frozen = settings.model.load(self.placement)
            scorer = self.scorer(frozen)

            def score(trainable: Mapping[str, Any]) -> dict[str, Scores]:
                prompt_table, found = table(trainable, self.names), {}
                for task, own in self.by_task(layouts).items():
                    members, places = zip(*own, strict=True)
                    scores = scorer(frozen.params, prompt_table, places, self.validation(task), [settings.protocol])
                    found.update(zip((member.name for member in members), scores[settings.protocol], strict=True))
                return found

            def keep(step: int, member: Member, trainable: Mapping[str, Any], scores: Scores) -> None:
                shape = {"length": member.prompt.length, "placement": member.prompt.placement}
                metadata = {**self.metadata(member, frozen), **shape, "step": step, "scores": scores.flat()}
                prompt = PromptFile(np.asarray(trainable[member.name], np.float32), metadata)
                write(prompt_folder(folder.path, member.name), prompt)

            state = start(self.first_prompts(frozen), step.optimizer, self.placement)
            evaluator = self.evaluator(score, keep, folder)
            train(state, step, frozen.params, batches, evaluator, folder, steps=settings.steps, every=settings.every)
        best = [read(prompt_folder(folder.path, name)).array for name in self.names] if first() else []
        prompt_table = np.concatenate(from_first(best))
        found = {}
        for task, own in self.by_task(layouts).items():
            split = self.scored(task)
            print(f"scoring {self.what(task)}, without a prompt and with each of {len(own)}", file=sys.stderr)
            places = [unchanged, *(place for _, place in own)]
            untuned, *rows = both_protocols(scorer, frozen.params, prompt_table, places, split)
            for row, (member, _) in zip(rows, own, strict=True):
                row["prompt"] = str(prompt_folder(folder.path, member.name) / "prompt.safetensors")
            found[task] = untuned, [self.row(m, row, evaluator) for (m, _), row in zip(own, rows, strict=True)]
        return frozen, found

    @property
    def layouts(self) -> list[Layout]:
        """Where each member's slots go among an input's ids."""
        return [layout(member, own) for member, own in zip(self.bank, slots(self.bank), strict=True)]

    def first_prompts(self, frozen: Frozen) -> dict[str, jax.Array]:
        """Each member's prompt [P, D] before the first step, from its own seed."""
        return {m.name: first_prompt(m, self.training(m.task).labels, frozen) for m in self.bank}

    def _abstract(self) -> dict[str, jax.ShapeDtypeStruct]:
        width = self.settings.model.sizes().emb_dim
        return {member.name: jax.ShapeDtypeStruct((member.prompt.length, width), jnp.float32) for member in self.bank}

    def _step(self) -> Step:
        model = T5(self.settings.model.sizes())
        optimizer = self.settings.optimizer.build(self.names)
        return Step(prompt_loss(model, self.names, self.settings.z_loss), optimizer, self.names, self.placement)


def first_prompt(member: Member, labels: Sequence[str] | None, frozen: Frozen) -> jax.Array:
    """A member's prompt [P, D] before the first step. `labels` are its task's; None or none for free text."""
    init = member.prompt.init
    if isinstance(init, ClassLabels) and not init.labels:
        words = tuple(map(bare, labels or catalog.lookup(member.task).first_words))  # a sentinel is no class
        init = replace(init, labels=words) if words else init.rest
    return init(first_key(member.seed), member.prompt.length, frozen.embeddings, frozen.vocabulary)
