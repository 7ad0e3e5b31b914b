"""A T5 small enough for exact tests, with random weights, and rows for it."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from ptune_cli.data.batches import Batches
from ptune_cli.data.examples import Lengths, Source
from ptune_cli.data.microbatches import Cost
from ptune_cli.prompts.bank import Member, Prompt, layout, members, slots
from ptune_cli.t5.config import T5Config, parameter_shapes
from ptune_cli.t5.model import T5
from ptune_cli.training.loss import prompt_loss
from ptune_cli.training.step import State, Step, start

CONFIG = T5Config(
    vocab_size=64, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, num_encoder_layers=2, num_decoder_layers=2, dropout_rate=0.0
)


class Rows:
    """Random token sequences: inputs of 2 to 14 tokens, targets of 1 to 3."""

    def __init__(self, count: int = 40, seed: int = 0):
        rng = np.random.default_rng(seed)
        self._inputs = [rng.integers(3, 64, rng.integers(2, 15)).astype(np.int32) for _ in range(count)]
        self._targets = [rng.integers(3, 64, rng.integers(1, 4)).astype(np.int32) for _ in range(count)]

    def __len__(self) -> int:
        return len(self._inputs)

    def inputs(self, i: int) -> np.ndarray:
        return self._inputs[i]

    def targets(self, i: int) -> np.ndarray:
        return self._targets[i]


def config(**changes) -> T5Config:
    return dataclasses.replace(CONFIG, **changes)


def weights(c: T5Config = CONFIG, seed: int = 1):
    """Random weights of the size trained ones have, in the activations' dtype. The same for every dtype but for rounding."""
    rng = np.random.default_rng(seed)
    flat = {}
    for name, shape in parameter_shapes(c).items():
        # A kernel's outputs are of order one; norms scale by something else than 1, so that leaving one out would show.
        draw = rng.normal(size=shape) * (shape[0] ** -0.5 if name.endswith("kernel") else 1.0)
        drawn = 1.0 + 0.1 * draw if name.endswith("scale") else draw
        flat[name] = jnp.asarray(drawn, jnp.promote_types(c.dtype, jnp.float32))
    return unflatten_dict(flat, sep="/")


def bank(lengths=(3,), seeds=(0,), placement: str = "prefix") -> list[Member]:
    return members(["rows"], [Prompt(length=n, placement=placement, name=f"p{n}") for n in lengths], seeds)


def first_prompts(own: list[Member], width: int = 16, dtype=np.float32) -> dict:
    """Each member's prompt, drawn from its name's seed alone."""
    draw = {m.name: np.random.default_rng((m.seed, m.prompt.length)) for m in own}
    return {m.name: jnp.asarray(draw[m.name].normal(size=(m.prompt.length, width)), dtype) for m in own}


# No microbatch smaller than a step: all its rows at once, padded to the longest that there can be.
WHOLE = Cost(positions=10**9, fixed=10**9, attention=10**9)


def batches(own: list[Member], size: int = 4, lengths: Lengths | None = None, cost: Cost = WHOLE) -> Batches:
    sources = [Source(Rows(), m.seed, layout(m, rows)) for m, rows in zip(own, slots(own), strict=True)]
    return Batches(sources, size, lengths or Lengths(16, 4, max(m.prompt.length for m in own)), cost)


def run(own: list[Member], optimizer, steps: int, c: T5Config = CONFIG, make: Callable = batches, dtype=np.float32) -> State:
    """Train a bank for some steps, outside the loop."""
    names = [m.name for m in own]
    transformation = optimizer.build(names)
    step = Step(prompt_loss(T5(c), names, 1e-4), transformation, names)
    state, params, order = start(first_prompts(own, c.emb_dim, dtype), transformation), weights(c), make(own)
    for t in range(steps):
        state, _ = step(state, params, order(t))
    return state
