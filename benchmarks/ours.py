"""ptune's own step as a worker: a bank of prompts over one frozen model, as `ptune train` runs it, without dropout.

python -m benchmarks.prompt_step starts it
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from benchmarks import worker
from benchmarks.compilations import Compilations
from benchmarks.rows import LONGEST, TARGETS, Rows
from ptune_cli.data.batches import Batches
from ptune_cli.data.examples import Lengths, Source
from ptune_cli.device import cost_here
from ptune_cli.formats import huggingface
from ptune_cli.prompts.bank import Member, Prompt, layout, members, slots
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.model import T5
from ptune_cli.training.loss import prompt_loss
from ptune_cli.training.optimizer import Adafactor
from ptune_cli.training.step import Step, start


class InOrder(Source):
    """A member's rows as the file has them, so that all systems see the same ones; from the first again behind the last."""

    def order(self, start: int, count: int) -> np.ndarray:
        return np.arange(start, start + count) % len(self.examples)


@dataclass(frozen=True)
class Unpadded:
    """Inputs [N, T] and targets [N, S] as `Examples`: without EOS and padding."""

    padded_inputs: np.ndarray
    padded_targets: np.ndarray

    def __len__(self) -> int:
        return len(self.padded_inputs)

    def inputs(self, i: int) -> np.ndarray:
        return np.trim_zeros(self.padded_inputs[i])[:-1]

    def targets(self, i: int) -> np.ndarray:
        return np.trim_zeros(self.padded_targets[i])[:-1]


def batches(rows: Rows, task: str, bank: Sequence[Member], size: int, config: T5Config, held: int) -> Batches:
    """The task's batches for all members, cut into microbatches as `ptune train` does."""
    places = zip(bank, slots(bank), strict=True)
    sources = [InOrder(Unpadded(*rows.of(task, k)), k, layout(*place)) for k, place in enumerate(places)]
    return Batches(sources, size, Lengths(LONGEST, TARGETS[1], len(rows.prompt)), cost_here(None, config, held))


def load(options: argparse.Namespace) -> worker.Step:
    """The step of a bank of `options.members` prompts, all with the same start."""
    rows = Rows(options.rows, options.batch)
    config, flat = huggingface.read(options.model, options.dtype)
    params = jax.tree.map(jnp.asarray, unflatten_dict(flat, sep="/"))
    bank = members(["rows"], [Prompt(length=len(rows.prompt))], range(options.members))
    names, optimizer = [member.name for member in bank], Adafactor().build()
    operands = "bfloat16" if options.dtype == "bfloat16" else None  # activations are float32 in any case
    config, held = replace(config, operands=operands, dropout_rate=0.0), sum(array.nbytes for array in flat.values())
    step = Step(prompt_loss(T5(config), names, z_loss=0.0), optimizer, names)
    state = start({name: jnp.array(rows.prompt) for name in names}, optimizer)
    of_task = {task: batches(rows, task, bank, options.batch, config, held) for task in rows.tasks}

    def run(task: str, t: int) -> dict[str, Any]:
        nonlocal state
        state, metrics = jax.block_until_ready(step(state, params, of_task[task](t)))
        return {"loss": float(metrics["loss"][0])}

    return run


if __name__ == "__main__":
    flags = worker.arguments()
    flags.add_argument("--members", type=int, default=1)
    worker.serve(load, flags.parse_args(), ("jax", "jaxlib"), Compilations())
