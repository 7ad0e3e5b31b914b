"""T5 1.1 as a plain JAX network with a prompt in front of the input: what ptune's own step is measured against.

Written the straightforward way: the whole batch at once, every mask and position bias added to the attention logits. The
parameters are those of `ptune_cli.t5.model` (T5X's names, nested dicts), and tell all sizes. No dropout, one example a row.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Params = Any
BUCKETS_REACH = 128  # positions; all that are further apart share the last bucket
MASKED = -1e10


def loss(prompt: jax.Array, params: Params, inputs: jax.Array, targets: jax.Array) -> jax.Array:
    """The sum of the cross-entropy of all target tokens.

    prompt [P, D] float32; inputs [B, T] and targets [B, S] int32, 0 at padding.
    """
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits(prompt, params, inputs, targets)), targets[..., None], axis=-1)
    return -jnp.sum(jnp.where(targets > 0, chosen[..., 0], 0.0))


def logits(prompt: jax.Array, params: Params, inputs: jax.Array, targets: jax.Array) -> jax.Array:
    """[B, S, V]: what follows each of the targets' beginnings."""
    rows = len(inputs)
    embedding = params["token_embedder"]["embedding"]
    x = jnp.concatenate([jnp.broadcast_to(prompt, (rows, *prompt.shape)), embedding[inputs]], axis=1)
    real = jnp.concatenate([jnp.ones((rows, len(prompt)), bool), inputs > 0], axis=1)
    memory = encode(params["encoder"], x, real)
    before = jnp.pad(targets, ((0, 0), (1, 0)))[:, :-1]
    return decode(params["decoder"], embedding[before], targets > 0, memory, real)


def encode(params: Params, x: jax.Array, real: jax.Array) -> jax.Array:
    """Memory [B, T, D] of vectors x [B, T, D], of which `real` [B, T] are not padding."""
    bias = position_bias(params, x.shape[1], bidirectional=True) + masked(real[:, None, None, :])
    for layer in layers(params):
        h = norm(layer["pre_attention_layer_norm"], x)
        x = x + attend(layer["attention"], h, h, bias)
        x = x + mlp(layer["mlp"], norm(layer["pre_mlp_layer_norm"], x))
    return norm(params["encoder_norm"], x)


def decode(params: Params, x: jax.Array, real: jax.Array, memory: jax.Array, memory_real: jax.Array) -> jax.Array:
    """Logits [B, S, V] of decoder inputs x [B, S, D], of which `real` [B, S] are not padding."""
    length = x.shape[1]
    before = jnp.tril(jnp.ones((length, length), bool))[None, None]
    bias = position_bias(params, length, bidirectional=False) + masked(before & real[:, None, None, :])
    cross_bias = jnp.zeros_like(bias[:1, :, :, :1]) + masked(memory_real[:, None, None, :])
    for layer in layers(params):
        h = norm(layer["pre_self_attention_layer_norm"], x)
        x = x + attend(layer["self_attention"], h, h, bias)
        h = norm(layer["pre_cross_attention_layer_norm"], x)
        x = x + attend(layer["encoder_decoder_attention"], h, memory, cross_bias)
        x = x + mlp(layer["mlp"], norm(layer["pre_mlp_layer_norm"], x))
    return norm(params["decoder_norm"], x) @ params["logits_dense"]["kernel"]


def layers(params: Params) -> list[Params]:
    """The layers of a stack, lowest first."""
    return [params[f"layers_{i}"] for i in range(sum(name.startswith("layers_") for name in params))]


def norm(params: Params, x: jax.Array) -> jax.Array:
    """T5's layer norm: no mean, no bias."""
    scale = jnp.expand_dims(params["scale"], (0, 1))
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-6) * scale


def attend(params: Params, x: jax.Array, memory: jax.Array, bias: jax.Array) -> jax.Array:
    """What x [B, Q, D] takes from memory [B, K, D]; bias [B, H, Q, K] is added to the logits."""
    heads = bias.shape[1]
    query, key, value = (
        jnp.einsum("btd,dhk->bthk", of, params[name]["kernel"].reshape(of.shape[-1], heads, -1))
        for name, of in (("query", x), ("key", memory), ("value", memory))
    )
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", query, key) + bias)
    out = params["out"]["kernel"].reshape(heads, -1, x.shape[-1])
    return jnp.einsum("bqhd,hdm->bqm", jnp.einsum("bhqk,bkhd->bqhd", weights, value), out)


def mlp(params: Params, x: jax.Array) -> jax.Array:
    """The gated GELU."""
    return (jax.nn.gelu(x @ params["wi_0"]["kernel"]) * (x @ params["wi_1"]["kernel"])) @ params["wo"]["kernel"]


def masked(seen: jax.Array) -> jax.Array:
    """What is added to the logits: nothing where `seen`."""
    return jnp.where(seen, 0.0, MASKED)


def position_bias(params: Params, length: int, bidirectional: bool) -> jax.Array:
    """The bias [1, H, length, length] of attention by distance, the same in all layers of a stack."""
    table = params["relpos_bias"]["rel_embedding"]
    distances = np.arange(length)[None, :] - np.arange(length)[:, None]
    return table[:, buckets(distances, table.shape[1], bidirectional)][None]


def buckets(distances: np.ndarray, count: int, bidirectional: bool) -> np.ndarray:
    """The bucket of each distance (key less query): one each up close, then logarithmically wider ones."""
    if bidirectional:
        return np.where(distances > 0, count // 2, 0) + buckets(-np.abs(distances), count // 2, False)
    back = np.maximum(-distances, 0)
    exact = count // 2
    # In float32 with its epsilon, as T5X has it: what lies on a bucket's edge depends on the rounding.
    wide = np.log(np.float32(back) / exact + np.finfo(np.float32).eps) / np.log(BUCKETS_REACH / exact) * (count - exact)
    return np.where(back < exact, back, np.minimum(exact + wide.astype(int), count - 1))
