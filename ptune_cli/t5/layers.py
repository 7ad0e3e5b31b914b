"""The parts of a T5 layer, with T5X's parameter names: norm, attention, MLP, relative position bias, dropout."""

import functools
import zlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli.t5.config import T5Config, mlp_inputs

MASKED = -1e10  # T5X's mask value; finite, so that a row with nothing to attend to stays finite
ACTIVATIONS = {"relu": nn.relu, "gelu": nn.gelu, "silu": nn.silu, "linear": lambda x: x}

fan_in = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
fan_in_truncated = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


def at_least_float32(x: jax.Array) -> jax.Array:
    """Float32 where numbers are summed or exponentiated; float64 stays, so that equality can be tested in it."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def fold(keys: jax.Array | None, site: int) -> jax.Array | None:
    """One dropout key per row for one place in the network."""
    return None if keys is None else jax.vmap(jax.random.fold_in, (0, None))(keys, site)


def dropout(x: jax.Array, keys: jax.Array | None, rate: float, length: int | None = None) -> jax.Array:
    """Dropout of x [B, ..., N] by one key per row ([B], None: no dropout), with one mask for a row's whole length.

    The mask of a row depends on its key alone, not on the rows or the padding beside it, so microbatches, banks and
    length buckets all give the same numbers. `length` is for attention probabilities [B, H, Q, K]: their masks are drawn
    as [K, H], because JAX's counter-based bits for the first K positions do not change when K grows.
    """
    if keys is None or rate == 0.0:
        return x
    if length is None:
        mask = jax.vmap(lambda key: jax.random.bernoulli(key, 1.0 - rate, (x.shape[-1],)))(keys)[:, None, :]
    else:
        mask = jax.vmap(lambda key: jax.random.bernoulli(key, 1.0 - rate, (length, x.shape[1])))(keys)
        mask = jnp.swapaxes(mask, 1, 2)[:, :, None, :]
    return jnp.where(mask, x / (1.0 - rate), jnp.zeros((), x.dtype))


class Norm(nn.Module):
    """T5's layer norm: no mean, no bias, epsilon 1e-6, the square taken in float32."""

    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        x = at_least_float32(x)
        y = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-6)
        return y.astype(self.dtype) * scale.astype(self.dtype)[None, None, :]


class RelativeBias(nn.Module):
    """T5's bias of attention by distance, one table for all layers of a stack."""

    config: T5Config
    bidirectional: bool

    @nn.compact
    def __call__(self, queries: int, keys: int) -> jax.Array:
        """Bias [1, H, Q, K]. Positions count from the row's start; only differences matter."""
        c = self.config
        init = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform")
        table = self.param("rel_embedding", init, (c.num_heads, c.relative_buckets))
        distance = np.arange(keys)[None, :] - np.arange(queries)[:, None]
        buckets = relative_bucket(distance, self.bidirectional, c.relative_buckets, c.relative_max_distance)
        return table.astype(c.dtype)[:, buckets][None]


def relative_bucket(distance: np.ndarray, bidirectional: bool, buckets: int, max_distance: int) -> np.ndarray:
    """The bucket of each key-minus-query distance: exact up close, logarithmic further, one past `max_distance`."""
    bucket = np.zeros(distance.shape, np.int32)
    n = -distance
    if bidirectional:
        buckets //= 2
        bucket += (n < 0).astype(np.int32) * buckets
        n = np.abs(n)
    else:
        n = np.maximum(n, 0)
    exact = buckets // 2
    # float32 with its epsilon, as in T5X: float64 puts some distances at bucket edges into the next one.
    ratio = np.log(n.astype(np.float32) / exact + np.finfo(np.float32).eps) / np.log(max_distance / exact)
    large = np.minimum(exact + (ratio * (buckets - exact)).astype(np.int32), buckets - 1)
    return bucket + np.where(n < exact, n, large)


class Attention(nn.Module):
    """Multi-head attention without biases and without 1/sqrt(d): T5 folds that into the query's initialisation."""

    config: T5Config

    def setup(self):
        c = self.config
        joined = c.num_heads * c.head_dim

        def query_init(*args):
            return fan_in(*args) / np.sqrt(c.head_dim).astype(np.float32)

        self.query = nn.Dense(joined, use_bias=False, dtype=c.dtype, kernel_init=query_init)
        self.key = nn.Dense(joined, use_bias=False, dtype=c.dtype, kernel_init=fan_in)
        self.value = nn.Dense(joined, use_bias=False, dtype=c.dtype, kernel_init=fan_in)
        self.out = nn.Dense(c.emb_dim, use_bias=False, dtype=c.dtype, kernel_init=fan_in)

    def keys_values(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Keys and values [B, T, H, head_dim] of x [B, T, D]."""
        return self._heads(self.key(x)), self._heads(self.value(x))

    def __call__(self, x: jax.Array, keys_values, bias: jax.Array, mask: jax.Array, dropout_keys=None) -> jax.Array:
        """x [B, Q, D] attends to keys and values [B, K, H, head_dim]; bias [1, H, Q, K]; mask [B, Q, K], True to see."""
        key, value = keys_values
        logits = at_least_float32(jnp.einsum("bqhd,bkhd->bhqk", self._heads(self.query(x)), key))
        logits = logits + bias.astype(logits.dtype) + jnp.where(mask, 0.0, MASKED).astype(logits.dtype)[:, None]
        weights = jax.nn.softmax(logits, axis=-1).astype(x.dtype)
        keys = fold(dropout_keys, zlib.crc32("/".join(self.path).encode()))
        weights = dropout(weights, keys, self.config.dropout_rate, length=weights.shape[-1])
        y = jnp.einsum("bhqk,bkhd->bqhd", weights, value)
        return self.out(y.reshape(*y.shape[:2], -1))

    def _heads(self, x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape[:2], self.config.num_heads, self.config.head_dim)


class Mlp(nn.Module):
    """T5's feed-forward block: one activation (1.0) or a product of two (1.1's gated GELU)."""

    config: T5Config

    @nn.compact
    def __call__(self, x: jax.Array, dropout_keys=None) -> jax.Array:
        c, factors = self.config, []
        for name, activation in zip(mlp_inputs(c), c.mlp_activations, strict=True):
            y = nn.Dense(c.mlp_dim, use_bias=False, dtype=c.dtype, kernel_init=fan_in_truncated, name=name)(x)
            factors.append(ACTIVATIONS[activation](y))
        keys = fold(dropout_keys, zlib.crc32("/".join(self.path).encode()))
        product = dropout(functools.reduce(jnp.multiply, factors), keys, c.dropout_rate)
        return nn.Dense(c.emb_dim, use_bias=False, dtype=c.dtype, kernel_init=fan_in_truncated, name="wo")(product)
