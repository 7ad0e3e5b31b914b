"""Prediction from a memory: greedy decoding with a KV cache, and scoring of given targets. The encoder runs once."""

from typing import Any

import jax
import jax.numpy as jnp

from ptune_cli.t5.model import T5

EOS = 1


def greedy(model: T5, params, memory: jax.Array, segments: jax.Array, limits: jax.Array, length: int) -> jax.Array:
    """The most likely next token, again and again: ids [B, length] int32, 0 after EOS. Stops when all rows have ended.

    Row b ends after `limits[b]` tokens (limits [B] int32, at most `length`), as it would alone.
    """

    def apply(method, *args) -> Any:
        return model.apply({"params": params}, *args, method=method)

    c, rows = model.config, memory.shape[0]
    cross = apply("cross", memory, length)
    empty = jnp.zeros((rows, c.num_heads, length, c.head_dim), memory.dtype)
    past = [(empty, empty)] * c.num_decoder_layers

    def going(carry):
        index, _, _, ended, _ = carry
        return (index < length) & ~jnp.all(ended)

    def one(carry):
        index, token, ids, ended, past = carry
        logits, past = apply("decode_one", apply("embed", token[:, None]), cross, past, index, segments)
        token = jnp.where(ended, 0, jnp.argmax(logits, axis=-1).astype(jnp.int32))
        ids = jax.lax.dynamic_update_slice_in_dim(ids, token[:, None], index, 1)
        return index + 1, token, ids, ended | (token == EOS) | (index + 1 >= limits), past

    # A row of padding only (the last batch's filling) counts as ended.
    ended = jnp.all(segments == 0, axis=1)
    first = jnp.zeros((), jnp.int32), jnp.zeros(rows, jnp.int32), jnp.zeros((rows, length), jnp.int32), ended, past
    return jax.lax.while_loop(going, one, first)[2]


def log_likelihoods(model: T5, params, memory: jax.Array, segments: jax.Array, targets: jax.Array) -> jax.Array:
    """The summed log-probability [B, L] of each target [L, S] (with EOS, 0 padded) after each memory [B, T, D]."""

    def apply(method, *args) -> Any:
        return model.apply({"params": params}, *args, method=method)

    def score(target):
        rows = jnp.broadcast_to(target[None], (memory.shape[0], target.shape[0]))
        before = jnp.pad(rows, ((0, 0), (1, 0)))[:, :-1]
        real = (rows > 0).astype(jnp.int32)
        logits = apply("decode", apply("embed", before), memory, real, jnp.minimum(segments, 1), None, targets.size)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), rows[..., None], axis=-1)[..., 0]
        return jnp.sum(chosen * real, axis=1)

    # vmap, so that the cross-attention's keys and values are computed once per input, not once per label.
    return jax.vmap(score)(targets).T
