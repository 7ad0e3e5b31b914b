"""The mean of a run's last checkpoints: what a falling learning rate does for the weights, without choosing when it falls."""

from typing import Any

import jax
import numpy as np

from ptune_cli.errors import UserError
from ptune_cli.runs import RunFolder
from ptune_cli.training.loop import Every
from ptune_cli.training.step import State


def check(count: int, steps: int, every: Every) -> None:
    """UserError unless a run of `steps` saves `count` checkpoints, not counting its start."""
    saved = -(-steps // every.save)
    if not 1 <= count <= max(saved, 1):
        raise UserError(f"average is {count}, and a run of {steps} steps saves {saved} checkpoints", "lower it, or every.save")


def mean_weights(folder: RunFolder, state: State, count: int) -> Any:
    """The mean of the trainable trees of the last `count` checkpoints, the newest of which is `state`. float32, as they are."""
    if count == 1:
        return state.trainable
    total = jax.tree.map(lambda weight: np.asarray(weight, np.float64), state.trainable)
    for step in folder.checkpoints.steps[-count:-1]:
        restored = folder.restore(state, step)
        assert restored is not None
        total = jax.tree.map(lambda mean, weight: mean + np.asarray(weight), total, restored[1].trainable)
    return jax.tree.map(lambda sum_, weight: (sum_ / count).astype(weight.dtype), total, state.trainable)
