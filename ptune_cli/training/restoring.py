"""A run's checkpoints for all of its processes: the first one has the files, the others get what it reads from it."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from ptune_cli.agreement import first, from_first
from ptune_cli.runs import RunFolder
from ptune_cli.t5.sharding import fetch


def save(folder: RunFolder, step: int, state: Any, extras: dict, metric: float | None = None) -> None:
    """`RunFolder.save` by the first process, of arrays wherever they lie; returns when it is done, on all."""
    whole = jax.tree.map(fetch, state)
    if first():
        folder.save(step, whole, extras, metric)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"saved {step}")


def restore(folder: RunFolder, template: Any, step: int | None = None) -> tuple[int, Any, dict] | None:
    """`RunFolder.restore`, on all processes: (step, state of NumPy arrays, extras), or None where nothing was saved."""
    found = folder.restore(template, step) if first() else None
    told = from_first(found and (found[0], found[2]))
    if told is None:
        return None
    state = found[1] if found else jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)
    if jax.process_count() > 1:  # one by one: a model's weights may be more than there is room for twice
        state = jax.tree.map(lambda leaf: np.asarray(multihost_utils.broadcast_one_to_all(leaf)), state)
    return told[0], state, told[1]
