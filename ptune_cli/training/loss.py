"""The loss of every member of a bank on a microbatch, of prompts before a frozen model or of the model itself."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ptune_cli.data.batch import Batch, Ids
from ptune_cli.prompts.bank import table, vectors
from ptune_cli.t5.model import T5

Tree = Any


class Sums(NamedTuple):
    """Sums over the target tokens of each member, each [K]."""

    loss: jax.Array  # cross-entropy plus z-loss
    correct: jax.Array  # tokens predicted right, teacher-forced
    tokens: jax.Array


def prompt_loss(model: T5, names: Sequence[str], z_loss: float) -> Callable[[Tree, Tree, Batch], Sums]:
    """The loss of a bank: trainable {member: prompt [P, D]}, frozen weights."""
    return lambda prompts, params, batch: sums(model, params, table(prompts, names), batch, len(names), z_loss, True)


def weight_loss(model: T5, z_loss: float) -> Callable[[Tree, Tree, Batch], Sums]:
    """The loss of pre-training and model tuning: the weights are trainable, there is no prompt."""
    nothing = jnp.zeros((1, model.config.emb_dim))
    return lambda params, frozen, batch: sums(model, params, nothing, batch, 1, z_loss, True)


def dropout_keys(batch: Batch) -> jax.Array:
    """One key per example [B, E], from its member's seed, the step and its place in the member's batch: nothing else."""

    def key(numbers):
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(numbers[0]), numbers[1]), numbers[2])

    return jax.vmap(jax.vmap(key))(jnp.asarray(batch.dropout))


def shift_right(targets: Ids, segments: Ids) -> jax.Array:
    """Decoder inputs [B, S]: the target before, and 0 (T5's start symbol) where a segment begins."""
    before = jnp.pad(targets, ((0, 0), (1, 0)))[:, :-1]
    same = segments == jnp.pad(segments, ((0, 0), (1, 0)))[:, :-1]
    return jnp.where(same, before, 0)


def sums(model: T5, params: Tree, prompt_table: jax.Array, batch: Batch, count: int, z_loss: float, train: bool) -> Sums:
    """The sums of one microbatch for `count` members: T5X's loss, a plain sum of CE + z_loss * log(Z)^2."""
    keys = dropout_keys(batch) if train and model.config.dropout_rate else None

    def apply(method: str, *args) -> Any:
        return model.apply({"params": params}, *args, method=method)

    x = vectors(lambda ids: apply("embed", ids), prompt_table, batch.encoder_ids)
    memory = apply("encode", x, batch.encoder_segments, keys)
    y = apply("embed", shift_right(batch.targets, batch.target_segments))
    logits = apply("decode", y, memory, batch.target_segments, batch.encoder_segments, keys)
    log_z = jax.nn.logsumexp(logits, axis=-1)
    target_logits = jnp.take_along_axis(logits, batch.targets[..., None], axis=-1)[..., 0]
    real = batch.targets > 0
    losses = jnp.where(real, log_z - target_logits + z_loss * jnp.square(log_z), 0.0)
    correct = real & (jnp.argmax(logits, axis=-1) == batch.targets)

    # Whose each target token is: several members' examples may share a row.
    owner = jnp.take_along_axis(jnp.asarray(batch.member), jnp.maximum(batch.target_segments - 1, 0), axis=1)

    def by_member(values):
        return jax.ops.segment_sum(values.ravel(), owner.ravel(), num_segments=count)

    return Sums(by_member(losses), by_member(correct.astype(losses.dtype)), by_member(real.astype(losses.dtype)))
