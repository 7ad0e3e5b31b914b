"""Prompt design, the paper's baseline without training: solved examples in front of the input, the model as it is."""

import functools
import sys

import jax.numpy as jnp

from ptune_cli.commands.experiment import Experiment, Found, both_protocols
from ptune_cli.data.design import Around
from ptune_cli.errors import UserError
from ptune_cli.prompts.bank import unchanged
from ptune_cli.runs import RunFolder
from ptune_cli.training.plan import Work

FOLDER = "designs"  # of a run: what each member put around its inputs, as text


class PromptDesign(Experiment):
    """Each member shows other examples, which its seed draws from the training split."""

    def added_length(self) -> int:
        return max(around.length for around in self.designs)

    def work(self) -> Work:
        raise UserError("prompt design trains nothing, so there is nothing to plan", "start it with ptune train")

    def run(self, folder: RunFolder) -> Found:
        frozen = self.settings.model.load(self.placement)
        scorer, nothing, found = self.scorer(frozen), jnp.zeros((1, frozen.config.emb_dim)), {}
        for task, own in self.by_task(self.designs).items():
            split = self.scored(task)
            print(f"scoring {self.what(task)}, bare and in each of {len(own)} designs", file=sys.stderr)
            places = [unchanged, *(around for _, around in own)]
            untuned, *rows = both_protocols(scorer, frozen.params, nothing, places, split)
            for row, (member, around) in zip(rows, own, strict=True):
                text = f"{self.vocabulary.decode(around.before)} {{inputs}} {self.vocabulary.decode(around.behind)}\n"
                folder.write_bytes(f"{FOLDER}/{member.name}.txt", text.encode())
                row["design"] = str(folder.path / FOLDER / f"{member.name}.txt")
            found[task] = untuned, [self.row(member, row) for (member, _), row in zip(own, rows, strict=True)]
        return frozen, found

    @functools.cached_property
    def designs(self) -> list[Around]:
        """What each member puts around an input."""
        design, cut = self.settings.design, self.settings.input_length
        return [design.around(self.training(member.task), self.vocabulary, cut, member.seed) for member in self.bank]
