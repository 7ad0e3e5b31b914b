"""The parts of a T5 layer, with T5X's parameter names: norm, attention, MLP, relative position bias."""

import functools
import zlib
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli.t5.config import T5Config, mlp_inputs
from ptune_cli.t5.dropout import Dropout, dropped, kept

MASKED = -1e10  # T5X's mask value; finite, so that a row with nothing to attend to stays finite
ACTIVATIONS = {"relu": nn.relu, "gelu": nn.gelu, "silu": nn.silu, "linear": lambda x: x}

fan_in = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
fan_in_truncated = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


def at_least_float32(x: jax.Array) -> jax.Array:
    """Float32 where numbers are summed or exponentiated; float64 stays, so that equality can be tested in it."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


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


class Linear(nn.Module):
    """A matrix product without bias, as `flax.linen.Dense`, whose kernel [inputs, outputs] others may read."""

    inputs: int
    outputs: int
    config: T5Config
    kernel_init: Callable  # not `init`, which is a method of every module

    def setup(self):
        self.kernel = self.param("kernel", self.kernel_init, (self.inputs, self.outputs))

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.astype(self.config.dtype)
        if self.config.operands is None:
            return x @ self.kernel.astype(x.dtype)
        return rounded_product(x, self.kernel, self.config.operands)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def rounded_product(x: jax.Array, kernel: jax.Array, operands: str) -> jax.Array:
    """x [..., N] @ kernel [N, M] of operands rounded to a dtype, accumulated in x's; gradients are made in the same way.

    On a CPU with bfloat16 products it is 1.7 times as fast as float32. Left to itself JAX would round the gradients' sums too.
    """
    return _rounded(x, kernel, operands)


def _rounded(x: jax.Array, kernel: jax.Array, operands: str) -> jax.Array:
    pair = x.astype(operands), kernel.astype(operands)
    return jax.lax.dot_general(*pair, (((x.ndim - 1,), (0,)), ((), ())), preferred_element_type=x.dtype)


def _forward(x, kernel, operands):
    return _rounded(x, kernel, operands), (x, kernel)


def _backward(operands, saved, gradient):
    x, kernel = saved
    rows, of_rows = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    return _rounded(gradient, kernel.T, operands), _rounded(rows.T, of_rows, operands).astype(kernel.dtype)


rounded_product.defvjp(_forward, _backward)


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
        query = self._heads(self.query(x))
        if isinstance(source, tuple):
            logits = jnp.einsum("bhqd,bhkd->bhqk", query, source[0])
        else:
            logits = jnp.einsum("bhqm,bkm->bhqk", jnp.einsum("bhqd,mhd->bhqm", query, self._kernel(self.key)), source)
        logits = at_least_float32(logits)
        logits = logits + bias.astype(logits.dtype) + jnp.where(mask, 0.0, MASKED).astype(logits.dtype)[:, None]
        # Softmax, divided by its sum only behind the product with the values, which is head_dim numbers for K.
        weights = jnp.exp(logits - jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True)))
        total = weights.sum(axis=-1, keepdims=True)
        y = self._values(weights.astype(x.dtype), source, self._kept(dropout, x.dtype))
        y = (y / total).astype(x.dtype)
        return self.out(jnp.swapaxes(y, 1, 2).reshape(*x.shape[:2], -1))

    def _kept(self, dropout: Dropout | None, dtype) -> jax.Array | None:
        site = zlib.crc32("/".join(self.path).encode())
        return kept(dropout and dropout.at(site), self.config.dropout_rate, self.config.num_heads, dtype)

    def _values(self, weights: jax.Array, source: Source, keep: jax.Array | None) -> jax.Array:
        """[B, H, Q, head_dim] of weights [B, H, Q, K] times `keep` [B, H, K], which are the values' as well as the weights'."""
        if isinstance(source, tuple):
            values = source[1] if keep is None else source[1] * keep[..., None]
            return jnp.einsum("bhqk,bhkd->bhqd", weights, values)
        weights = weights if keep is None else weights * keep[:, :, None]
        return jnp.einsum("bhqm,mhd->bhqd", jnp.einsum("bhqk,bkm->bhqm", weights, source), self._kernel(self.value))

    def _heads(self, x: jax.Array) -> jax.Array:
        # Heads before positions: attention is then a batch of plain matrix products, a quarter faster on a CPU.
        return jnp.swapaxes(x.reshape(*x.shape[:2], self.config.num_heads, self.config.head_dim), 1, 2)

    def _kernel(self, linear: Linear) -> jax.Array:
        """[D, H, head_dim]."""
        return linear.kernel.astype(self.config.dtype).reshape(-1, self.config.num_heads, self.config.head_dim)


class Mlp(nn.Module):
    """T5's feed-forward block: one activation (1.0) or a product of two (1.1's gated GELU)."""

    config: T5Config

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Dropout | None = None) -> jax.Array:
        c, factors = self.config, []
        for name, activation in zip(mlp_inputs(c), c.mlp_activations, strict=True):
            y = Linear(c.emb_dim, c.mlp_dim, c, fan_in_truncated, name=name)(x)
            factors.append(ACTIVATIONS[activation](y))
        site = zlib.crc32("/".join(self.path).encode())
        product = dropped(functools.reduce(jnp.multiply, factors), dropout and dropout.at(site), c.dropout_rate)
        return Linear(c.mlp_dim, c.emb_dim, c, fan_in_truncated, name="wo")(product)
