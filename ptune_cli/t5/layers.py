"""The parts of a T5 layer, with T5X's parameter names, besides attention: norm, matrix product, MLP, relative position bias."""

import functools
import zlib
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli.t5.config import T5Config, mlp_inputs
from ptune_cli.t5.dropout import Dropout, dropped

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


class Mlp(nn.Module):
    """T5's feed-forward block: one activation (1.0) or a product of two (1.1's gated GELU)."""

    config: T5Config

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Dropout | None = None) -> jax.Array:
        c, site = self.config, zlib.crc32("/".join(self.path).encode())
        factors = [Linear(c.emb_dim, c.mlp_dim, c, fan_in_truncated, name=name)(x) for name in mlp_inputs(c)]
        product = dropped(activated(c.mlp_activations, *factors), dropout and dropout.at(site), c.dropout_rate)
        return Linear(c.mlp_dim, c.emb_dim, c, fan_in_truncated, name="wo")(product)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def activated(activations: tuple[str, ...], *factors: jax.Array) -> jax.Array:
    """The product [B, T, N] of the factors [B, T, N], each with its activation.

    What is kept for the gradient is the factors alone, and the activations are made again: of a gated GELU, half the memory.
    """
    return _activated(activations, *factors)


def _activated(activations: tuple[str, ...], *factors: jax.Array) -> jax.Array:
    return functools.reduce(jnp.multiply, (ACTIVATIONS[name](x) for name, x in zip(activations, factors, strict=True)))


def _activated_backward(activations, factors, gradient):
    factors, gradient = jax.lax.optimization_barrier((factors, gradient))  # or XLA keeps the activations of the forward pass
    _, pull = jax.vjp(functools.partial(_activated, activations), *factors)
    return pull(gradient)


activated.defvjp(lambda activations, *factors: (_activated(activations, *factors), factors), _activated_backward)
