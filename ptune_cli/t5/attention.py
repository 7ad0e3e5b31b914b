"""Multi-head attention with T5X's parameter names: of queries to keys and values, or to the vectors these are made from."""

import zlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli.t5.config import T5Config
from ptune_cli.t5.dropout import Dropout, kept
from ptune_cli.t5.layers import Linear, at_least_float32, fan_in

MASKED = -1e10  # T5X's mask value; finite, so that a row with nothing to attend to stays finite

# What attention reads: keys and values [B, H, K, head_dim], or the vectors [B, K, D] that they would be made from.
Source = tuple[jax.Array, jax.Array] | jax.Array


class Attention(nn.Module):
    """Multi-head attention without biases and without 1/sqrt(d): T5 folds that into the query's initialisation."""

    config: T5Config

    def setup(self):
        c = self.config
        joined = c.num_heads * c.head_dim

        def query_init(*args):
            return fan_in(*args) / np.sqrt(c.head_dim).astype(np.float32)

        self.query = Linear(c.emb_dim, joined, c, query_init)
        self.key = Linear(c.emb_dim, joined, c, fan_in)
        self.value = Linear(c.emb_dim, joined, c, fan_in)
        self.out = Linear(joined, c.emb_dim, c, fan_in)

    def keys_values(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Keys and values [B, H, T, head_dim] of x [B, T, D]."""
        return self._heads(self.key(x)), self._heads(self.value(x))

    def source(self, memory: jax.Array, queries: int) -> Source:
        """What so many queries a row read of the memory [B, T, D]: itself, where they are fewer than a head has dimensions.

        (q Wk^T) memory^T are the same logits as q (memory Wk)^T, and cost less when targets are short: every memory position
        takes head_dim products for its key, and one for each query without it.
        """
        return memory if queries < self.config.head_dim else self.keys_values(memory)

    def __call__(
        self, x: jax.Array, source: Source, bias: jax.Array, mask: jax.Array, dropout: Dropout | None = None
    ) -> jax.Array:
        """x [B, Q, D] attends to a source of K positions; bias [1, H, Q, K]; mask [B, Q, K], True to see; dropout of the K."""
        query, keep = self._heads(self.query(x)), self._kept(dropout, x.dtype)
        if isinstance(source, tuple):
            key, value = source
            y = attend(query, key, value if keep is None else value * keep[..., None], bias, mask)
        else:
            y = self._attend_to_vectors(query, source, keep, bias, mask)
        return self.out(jnp.swapaxes(y, 1, 2).reshape(*x.shape[:2], -1))

    def _attend_to_vectors(self, query, source: jax.Array, keep: jax.Array | None, bias, mask) -> jax.Array:
        """[B, H, Q, head_dim] of queries [B, H, Q, head_dim] over the vectors [B, K, D] as they are."""
        of_vectors = jnp.einsum("bhqd,mhd->bhqm", query, self._kernel(self.key))
        weights = jax.nn.softmax(_masked(jnp.einsum("bhqm,bkm->bhqk", of_vectors, source), bias, mask)).astype(query.dtype)
        weights = weights if keep is None else weights * keep[:, :, None]
        return jnp.einsum("bhqm,mhd->bhqd", jnp.einsum("bhqk,bkm->bhqm", weights, source), self._kernel(self.value))

    def _kept(self, dropout: Dropout | None, dtype) -> jax.Array | None:
        site = zlib.crc32("/".join(self.path).encode())
        return kept(dropout and dropout.at(site), self.config.dropout_rate, self.config.num_heads, dtype)

    def _heads(self, x: jax.Array) -> jax.Array:
        # Heads before positions: attention is then a batch of plain matrix products, a quarter faster on a CPU.
        return jnp.swapaxes(x.reshape(*x.shape[:2], self.config.num_heads, self.config.head_dim), 1, 2)

    def _kernel(self, linear: Linear) -> jax.Array:
        """[D, H, head_dim]."""
        return linear.kernel.astype(self.config.dtype).reshape(-1, self.config.num_heads, self.config.head_dim)


@jax.custom_vjp
def attend(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array, mask: jax.Array) -> jax.Array:
    """Values [B, H, Q, head_dim] of queries over keys and values [B, H, K, head_dim]; bias [1, H, Q, K]; mask [B, Q, K].

    Nothing of Q x K is kept for the gradient, which makes the weights again. On a GPU they were most of a step's memory, and
    writing and reading them a third of its time.
    """
    return _attend(query, key, value, bias, mask)[0]


def _masked(logits: jax.Array, bias: jax.Array, mask: jax.Array) -> jax.Array:
    """In float32 at least."""
    logits = at_least_float32(logits)
    return logits + bias.astype(logits.dtype) + jnp.where(mask, 0.0, MASKED).astype(logits.dtype)[:, None]


def _attend(query, key, value, bias, mask):
    logits = _masked(jnp.einsum("bhqd,bhkd->bhqk", query, key), bias, mask)
    largest = logits.max(axis=-1, keepdims=True)
    weights = jnp.exp(logits - largest)
    total = weights.sum(axis=-1, keepdims=True)
    # Divided by the sum only behind the product with the values, which is head_dim numbers for K.
    y = (jnp.einsum("bhqk,bhkd->bhqd", weights.astype(query.dtype), value) / total).astype(query.dtype)
    return y, (query, key, value, bias, mask, y, largest, total)


def _attend_backward(saved, gradient):
    query, key, value, bias, mask, y, largest, total = saved
    # Without a barrier XLA sees that these are the logits of the forward pass, and keeps them after all. On a CPU it does so with
    # one as well, and makes only their exponentials again: 2% slower, for nothing.
    if jax.default_backend() != "cpu":
        query, key, gradient = jax.lax.optimization_barrier((query, key, gradient))
    weights = jnp.exp(_masked(jnp.einsum("bhqd,bhkd->bhqk", query, key), bias, mask) - largest)
    gradient = at_least_float32(gradient) / total
    mean = jnp.sum(gradient * at_least_float32(y), axis=-1, keepdims=True)
    gradient = gradient.astype(query.dtype)
    of_logits = weights * (at_least_float32(jnp.einsum("bhqd,bhkd->bhqk", gradient, value)) - mean)
    rounded = of_logits.astype(query.dtype)
    of_query = jnp.einsum("bhqk,bhkd->bhqd", rounded, key)
    of_key = jnp.einsum("bhqk,bhqd->bhkd", rounded, query)
    of_value = jnp.einsum("bhqk,bhqd->bhkd", weights.astype(query.dtype), gradient)
    alike = [axis for axis, size in enumerate(bias.shape) if size == 1]  # XLA leaves the bias's out where it is frozen
    return of_query, of_key, of_value, of_logits.sum(axis=alike, keepdims=True).astype(bias.dtype), None


attend.defvjp(_attend, _attend_backward)
