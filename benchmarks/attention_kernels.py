"""Self-attention of an encoder alone: ptune's own beside JAX's fused ones, forward and backward to q, k and v.

All take q, k and v [B, H, T, head_dim], T5's position bias [1, H, T, T], which is frozen, and how many of each row's
positions are no padding, and give what the values are averaged to. Errors are of the largest number of a float32 reference, where
no padding is.
"""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ptune_cli.t5.attention import MASKED, attend

Heads = jax.Array  # [B, H, T, head_dim]
Fused = Callable[[Heads, Heads, Heads, jax.Array, jax.Array], Heads]
CALLS, ROUNDS = 10, 3


class Arguments(NamedTuple):
    """One layer's attention."""

    query: Heads
    key: Heads
    value: Heads
    bias: jax.Array  # [1, H, T, T]
    lengths: jax.Array  # [B] int32


def _padding(lengths: jax.Array, positions: int) -> jax.Array:
    """[B, T], True at what is no padding."""
    return jnp.arange(positions)[None] < lengths[:, None]


def ours(query: Heads, key: Heads, value: Heads, bias: jax.Array, lengths: jax.Array) -> Heads:
    """As ptune computes it."""
    mask = _padding(lengths, key.shape[2])[:, None]
    return attend(
        query, key, value, jax.lax.stop_gradient(bias), jnp.broadcast_to(mask, (len(mask), *query.shape[2:3], key.shape[2]))
    )


def _jax(implementation: str, folded: bool, query: Heads, key: Heads, value: Heads, bias: jax.Array, lengths: jax.Array) -> Heads:
    """JAX's own. `folded` writes the padding into the bias, [B, H, T, T] in the dtype of q."""
    bias, known = jax.lax.stop_gradient(bias.astype(query.dtype)), {}
    if folded:
        mask = _padding(lengths, key.shape[2])[:, None, None]
        whole = (query.shape[0], *bias.shape[1:])
        bias = jnp.broadcast_to(bias + jnp.where(mask, 0.0, MASKED).astype(bias.dtype), whole)
    else:
        known = {"key_value_seq_lengths": lengths}
    turned = (jnp.swapaxes(heads, 1, 2) for heads in (query, key, value))
    y = jax.nn.dot_product_attention(*turned, bias, scale=1.0, implementation=implementation, **known)
    return jnp.swapaxes(y, 1, 2)


WAYS: dict[str, Fused] = {
    "ptune": ours,
    "cudnn, lengths": functools.partial(_jax, "cudnn", False),
    "cudnn, padding in the bias": functools.partial(_jax, "cudnn", True),
    "xla, lengths": functools.partial(_jax, "xla", False),
}


def measured(rows: int, heads: int, positions: int, head_dim: int) -> Iterator[dict[str, Any]]:
    """A line for each way: milliseconds of forward and backward, and the errors; or what JAX says against it."""
    given, weight = _arguments(rows, heads, positions, head_dim)
    with jax.default_matmul_precision("highest"):
        exact = _both(ours)(*(_float32(array) for array in given), _float32(weight))
    for name, way in WAYS.items():
        line: dict[str, Any] = {"way": name, "rows": rows, "heads": heads, "positions": positions, "head_dim": head_dim}
        try:
            line |= _compared(way, given, weight, exact)
        except (RuntimeError, ValueError) as error:  # what a device or cuDNN does not support
            line |= {"error": f"{type(error).__name__}: {error}"[:400]}
        yield line


def _arguments(rows: int, heads: int, positions: int, head_dim: int) -> tuple[Arguments, Heads]:
    """Bfloat16, and what the result is weighted with; half of the rows have padding."""
    keys = jax.random.split(jax.random.key(0), 5)
    query, key, value, weight = (jax.random.normal(k, (rows, heads, positions, head_dim), jnp.bfloat16) for k in keys[:4])
    bias = jax.random.normal(keys[4], (1, heads, positions, positions), jnp.bfloat16)
    lengths = jnp.where(jnp.arange(rows) % 2 == 0, positions, positions * 3 // 4).astype(jnp.int32)
    weight = weight * _padding(lengths, positions)[:, None, :, None].astype(weight.dtype)
    return Arguments(query * head_dim**-0.5, key, value, bias, lengths), weight


def _both(way: Fused) -> Callable[..., tuple[Heads, tuple[Heads, Heads, Heads]]]:
    """The result and its gradient for q, k and v, compiled."""

    @jax.jit
    def both(query: Heads, key: Heads, value: Heads, bias: jax.Array, lengths: jax.Array, weight: Heads) -> Any:
        y, pull = jax.vjp(lambda q, k, v: way(q, k, v, bias, lengths), query, key, value)
        return y, pull(weight)

    return both


def _float32(array: jax.Array) -> jax.Array:
    return array if jnp.issubdtype(array.dtype, jnp.integer) else array.astype(jnp.float32)


def _compared(way: Fused, given: Arguments, weight: Heads, exact: Any) -> dict[str, float]:
    both, forward = _both(way), jax.jit(way)
    real = _padding(given.lengths, weight.shape[2])[:, None, :, None]
    y, gradients = both(*given, weight)
    return {
        "both_ms": _milliseconds(lambda: both(*given, weight)),
        "forward_ms": _milliseconds(lambda: forward(*given)),
        "error_of_result": _error(y, exact[0], real),
        "error_of_query_gradient": _error(gradients[0], exact[1][0], real),
    }


def _milliseconds(run: Callable[[], Any]) -> float:
    """Of one call of several in a row, in the fastest round behind the one that compiles."""
    taken = []
    for _ in range(ROUNDS + 1):
        began = time.monotonic()
        jax.block_until_ready([run() for _ in range(CALLS)])
        taken.append((time.monotonic() - began) / CALLS)
    return 1e3 * min(taken[1:])


def _error(found: jax.Array, exact: jax.Array, real: jax.Array) -> float:
    difference = jnp.where(real, jnp.abs(found.astype(jnp.float32) - exact), 0.0)
    return float(difference.max() / jnp.abs(exact).max())
