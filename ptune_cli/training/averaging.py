"""The mean of a run's last checkpoints: what a falling learning rate does for the weights, without choosing when it falls."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ptune_cli.errors import UserError
from ptune_cli.runs import RunFolder
from ptune_cli.t5.sharding import fetch
from ptune_cli.training import restoring
from ptune_cli.training.loop import Every
from ptune_cli.training.step import State


def averaged_steps(count: int, steps: int, every: Every) -> list[int]:
    """The last `count` steps that a run of `steps` saves whatever happens to it. UserError if they are fewer.

    A stop saves a step of its own, which is not among them: the mean would depend on when the run was stopped.
    """
    saved = [step for step in range(1, steps + 1) if step == steps or 0 in (step % every.save, step % every.evaluate)]
    if not 1 <= count <= max(len(saved), 1):
        raise UserError(
            f"average is {count}, and a run of {steps} steps saves {len(saved)} checkpoints", "lower it, or every.save"
        )
    return saved[-count:]


def mean_weights(folder: RunFolder, state: State, steps: Sequence[int]) -> Any:
    """The mean of the trainable trees of these checkpoints, the last of which is `state`. float32, as they are.

    UserError if one is gone, which takes as many stops near the end of the run as there are checkpoints in the mean.
    """
    total = jax.tree.map(lambda weight: fetch(weight).astype(np.float64), state.trainable)
    for step in steps[:-1]:
        if step not in folder.checkpoints.steps:
            raise UserError(
                f"the checkpoint of step {step} made room for those of stops", "run again elsewhere, or average fewer"
            )
        restored = restoring.restore(folder, state, step)
        assert restored is not None
        total = jax.tree.map(lambda so_far, weight: so_far + np.asarray(weight), total, restored[1].trainable)
    return jax.tree.map(lambda added, weight: (added / len(steps)).astype(weight.dtype), total, state.trainable)
