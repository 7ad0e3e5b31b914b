"""Optimizers of a bank of prompts, or of whole weights: recipes that `build` an optax transformation.

Every member of a bank is one leaf of the trainable tree and nothing here mixes leaves, so a member trained in a bank
takes the steps that it takes alone; only the learning rate may differ from member to member.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ptune_cli.errors import UserError, nearest

LearningRate = float | tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate follows the step, which counts from 0 in this run. `learning_rate` is a factor:

    constant  learning_rate * warmup
    linear    learning_rate * warmup, falling in a straight line to 0 at `decay_steps`, from step `hold_steps`, or else
              from the end of the warm-up
    rsqrt     learning_rate / sqrt(max(step, warmup_steps, 1)): T5's pre-training has 1.0 and 10,000, which is 0.01 flat
              for 10,000 steps and 1/sqrt(step) after them

    where warmup = min(1, step / warmup_steps), as in T5X, is 0 at the first step and 1 from step `warmup_steps` on.
    """

    shape: str = "constant"
    warmup_steps: int = 0
    hold_steps: int = 0
    decay_steps: int = 0

    def __post_init__(self) -> None:
        shapes = ("constant", "linear", "rsqrt")
        if self.shape not in shapes:
            raise UserError(f"Schedule.shape is '{self.shape}': {nearest(self.shape, shapes)}")
        if self.shape == "linear" and self.decay_steps <= self._falls_from:
            raise UserError(
                f"a linear Schedule needs decay_steps above warmup_steps and hold_steps, and has {self.decay_steps}, "
                f"{self.warmup_steps} and {self.hold_steps}",
                "set Schedule.decay_steps to the last step of the run",
            )

    def __call__(self, learning_rate: float) -> optax.Schedule:
        """A function of the step (int or int32 scalar) that returns the learning rate (float32 scalar)."""

        def rate(step: Any) -> jax.Array:
            if self.shape == "rsqrt":
                return learning_rate / jnp.sqrt(jnp.maximum(step, max(self.warmup_steps, 1)))
            factor = jnp.minimum(1.0, step / self.warmup_steps) if self.warmup_steps else 1.0
            if self.shape == "linear":
                factor *= jnp.clip((self.decay_steps - step) / (self.decay_steps - self._falls_from), 0.0, 1.0)
            return jnp.asarray(learning_rate * factor)

        return rate

    @property
    def _falls_from(self) -> int:
        return max(self.warmup_steps, self.hold_steps)


@dataclass(frozen=True, kw_only=True)
class Adafactor:
    """Adafactor as T5X has it; the defaults are the prompt tuning paper's code.

    `start_step` is where the decay of the second moment starts, 1 - (start_step + step + 1)^-decay_rate. The paper's code
    restored the checkpoint's step, 1,100,000, so its second moment remembers ~68,000 steps and nearly every update is
    clipped; 0 is a fresh Adafactor, a different optimizer. `weight_decay` is not multiplied by the learning rate.
    `factored` keeps row and column means for matrices with both sides >= 128 (T5X's choice for weights). `parameter_scale`
    multiplies the learning rate by the leaf's RMS (1e-3 at least): T5's pre-training and model tuning.
    """

    learning_rate: LearningRate = 0.3
    schedule: Schedule = Schedule()
    decay_rate: float = 0.8
    start_step: int = 1_100_000
    weight_decay: float = 1e-5
    clip: float = 1.0
    factored: bool = False
    parameter_scale: bool = False

    def __post_init__(self) -> None:
        if self.start_step < 0:
            raise UserError(f"Adafactor.start_step is {self.start_step}, expected 0 (fresh) or the checkpoint's step")

    def build(self, names: Sequence[str] | None = None) -> optax.GradientTransformation:
        """For a dict {member name: [P, D]}, or with `names=None` for any tree. UserError on bad learning rates."""
        return optax.chain(
            optax.scale_by_factored_rms(self.factored, self.decay_rate, step_offset=-self.start_step),
            optax.clip_by_block_rms(self.clip),
            optax.scale_by_param_block_rms(1e-3) if self.parameter_scale else optax.identity(),
            optax.scale_by_schedule(self.schedule(1.0)),
            _scale_by_rates(self.learning_rate, names),
            optax.add_decayed_weights(self.weight_decay),
            optax.scale(-1.0),
        )


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam; `weight_decay` is AdamW's, multiplied by the learning rate."""

    learning_rate: LearningRate = 1e-3
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    schedule: Schedule = Schedule()

    def build(self, names: Sequence[str] | None = None) -> optax.GradientTransformation:
        """For a dict {member name: [P, D]}, or with `names=None` for any tree. UserError on bad learning rates."""
        return optax.chain(
            optax.scale_by_adam(self.b1, self.b2, self.eps),
            optax.add_decayed_weights(self.weight_decay),
            optax.scale_by_schedule(self.schedule(1.0)),
            _scale_by_rates(self.learning_rate, names),
            optax.scale(-1.0),
        )


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Stochastic gradient descent, with (heavy-ball) momentum if it is not 0."""

    learning_rate: LearningRate = 0.1
    momentum: float = 0.0
    schedule: Schedule = Schedule()

    def build(self, names: Sequence[str] | None = None) -> optax.GradientTransformation:
        """For a dict {member name: [P, D]}, or with `names=None` for any tree. UserError on bad learning rates."""
        return optax.chain(
            optax.trace(self.momentum) if self.momentum else optax.identity(),
            optax.scale_by_schedule(self.schedule(1.0)),
            _scale_by_rates(self.learning_rate, names),
            optax.scale(-1.0),
        )


def _scale_by_rates(learning_rate: LearningRate, names: Sequence[str] | None) -> optax.GradientTransformation:
    """Multiply the whole tree by one rate, or each member by its own. The schedule, the same for all, is a factor apart."""
    given = learning_rate if isinstance(learning_rate, tuple | list) else (learning_rate,)
    for rate in given:
        if not 0 <= rate < math.inf:
            raise UserError(f"the learning rate {rate} is not a number >= 0")
    if not isinstance(learning_rate, tuple | list):
        return optax.scale(learning_rate)
    members = () if names is None else tuple(names)
    if len(given) != len(members):
        whole = "this run trains one tree of weights" if names is None else f"the bank has {len(members)}: {', '.join(members)}"
        raise UserError(
            f"learning_rate lists {len(given)} values, one per member, and {whole}",
            "give one number for all, or as many as there are members",
        )
    rates = dict(zip(members, given, strict=True))

    def scale(updates: Any, _: Any) -> Any:
        return {name: jax.tree.map(lambda leaf, rate=rates[name]: rate * leaf, update) for name, update in updates.items()}

    return optax.stateless(scale)
