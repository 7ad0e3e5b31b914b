"""`ptune convert --verify`: the logits of a model before and after, of one and the same program. Needs JAX."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli.base_model import nested
from ptune_cli.errors import RunFailure
from ptune_cli.formats import checkpoint
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.fingerprint import Samples
from ptune_cli.t5.model import T5

MOST = 1e-4  # that logits may differ: they are computed in float32, from values that should be the same
ROWS, INPUTS, TARGETS = 4, 16, 8


def difference(source: str, destination: str, config: T5Config, dtype: str, mark: str) -> float:
    """The largest difference of the logits of the models at two paths; `mark` is the fingerprint that the second must have.

    Both are read as `dtype`, the destination's, so of a source that was rounded to it the rounded values are compared. One model
    is in memory at a time, in float32. Raises RunFailure for more than MOST, and for another fingerprint.
    """
    given, _ = _logits(source, config, dtype)
    found, found_mark = _logits(destination, checkpoint.sizes(destination, config), dtype)
    largest = float(np.max(np.abs(given - found)))
    if not largest <= MOST:
        raise RunFailure(f"the logits of what was written differ by {largest:.2g}, expected {MOST} at most: nothing is kept")
    if found_mark != mark:
        raise RunFailure(f"what was written has the fingerprint {found_mark}, expected {mark}: nothing is kept")
    return largest


def _logits(path: str, config: T5Config, dtype: str) -> tuple[np.ndarray, str]:
    """Logits [ROWS, TARGETS, V] of fixed rows of ids, and the fingerprint of the weights."""
    samples = Samples()

    def put(name, shape, read) -> jax.Array:
        values = read(())
        samples.add(name, shape, (), values)
        return jnp.asarray(values, jnp.float32)

    params = nested(checkpoint.read(path, config, dtype, put, in_turn=True))
    apply = _program(replace(config, dtype="float32", operands=None))
    return np.asarray(apply({"params": params}, *_ids(config.vocab_size))), samples.digest()


@cache
def _program(config: T5Config) -> Callable[..., jax.Array]:
    """Compiled once for both models, unless they are not of one kind."""
    return jax.jit(T5(config).apply)


def _ids(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [ROWS, INPUTS], padded to the right by more from row to row, and the decoder's inputs [ROWS, TARGETS]."""
    draw = np.random.default_rng(0)
    ids, target_ids = draw.integers(2, size, (ROWS, INPUTS), np.int32), draw.integers(2, size, (ROWS, TARGETS), np.int32)
    for row in range(ROWS):
        ids[row, INPUTS - 3 * row :] = 0
    target_ids[:, 0] = 0  # where T5 begins to decode
    return ids, target_ids
