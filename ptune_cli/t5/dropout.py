"""Dropout that belongs to an example: its masks depend on the example's own key, not on what is computed beside it.

As in T5X, one mask holds for all positions of an example, and one of attention probabilities for all queries. So microbatches,
banks, packed rows and lengths of padding all give the same numbers.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Dropout(NamedTuple):
    """What dropout along an axis of T positions depends on."""

    keys: jax.Array  # [B, E], of the examples of each row
    segments: jax.Array  # [B, T]: which of them a position belongs to, from 1 on; 0 at padding

    def at(self, site: int) -> "Dropout":
        """For one place in the network."""
        return self._replace(keys=_each(self.keys, lambda key: jax.random.fold_in(key, site)))


def dropped(x: jax.Array, dropout: Dropout | None, rate: float) -> jax.Array:
    """x [B, T, N] with some of the N features of each example dropped, the others scaled up. None: x itself."""
    if dropout is None or rate == 0.0:
        return x
    keep = _each(dropout.keys, lambda key: jax.random.bernoulli(key, 1.0 - rate, x.shape[-1:]))
    if keep.shape[1] > 1:
        keep = jnp.take_along_axis(keep, _examples(dropout.segments)[..., None], axis=1)
    return jnp.where(keep, x / (1.0 - rate), jnp.zeros((), x.dtype))


def kept(dropout: Dropout | None, rate: float, heads: int, dtype) -> jax.Array | None:
    """What attention to each position is multiplied with [B, H, T]: 0, or 1 / (1 - rate). None: nothing is dropped.

    Drawn as [T, H], because JAX's counter-based bits for the first T positions do not change when T grows.
    """
    if dropout is None or rate == 0.0:
        return None
    b, t = dropout.segments.shape
    keep = _each(dropout.keys, lambda key: jax.random.bernoulli(key, 1.0 - rate, (t, heads)))
    if keep.shape[1] == 1:
        keep = keep[:, 0]
    else:
        keep = keep[jnp.arange(b)[:, None], _examples(dropout.segments), offsets(dropout.segments)]
    return jnp.swapaxes(keep, 1, 2).astype(dtype) / (1.0 - rate)


def offsets(segments: jax.Array) -> jax.Array:
    """Each position's place in its own segment [B, T], whose positions are next to each other."""
    place = jnp.arange(segments.shape[1])[None]
    before = jnp.pad(segments, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
    return place - jax.lax.cummax(jnp.where(segments != before, place, 0), axis=1)


def _examples(segments: jax.Array) -> jax.Array:
    return jnp.maximum(segments - 1, 0)


def _each(keys: jax.Array, function) -> jax.Array:
    """function(key), for keys [B, E]."""
    return jax.vmap(jax.vmap(function))(keys)
