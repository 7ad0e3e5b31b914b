"""How many bytes a device sends in a step of prompt tuning on a mesh, from the sizes of the model alone."""

from dataclasses import dataclass

import jax.numpy as jnp

from benchmarks.collectives import sent_in_ring
from ptune_cli.t5.config import T5Config

FLOAT32 = 4  # bytes; of logits, sums and prompts


@dataclass(frozen=True)
class Shape:
    """A step of one microbatch: rows, positions of a row (the prompt's included), tokens of a target, rows of the prompt."""

    rows: int
    positions: int
    targets: int
    prompt: int


def sent_by_step(config: T5Config, shape: Shape, data: int, model: int, merged: bool = False) -> float:
    """Bytes that each device of a mesh data x model sends; rings, as benchmarks/collectives.py counts them.

    `merged` is the least for a compiler that adds the gradients of what several kernels read before devices tell each other, as
    the TPU's does (benchmarks/tpu_program.py) and the CPU's does not: one sum for query, key and value, one for the MLP's
    factors, and one for what all layers of the decoder read of the encoder.
    """
    each = shape.rows // data * config.emb_dim * jnp.dtype(config.dtype).itemsize
    inputs, outputs = encoder_sums(config, merged), decoder_sums(config, merged)
    activations = each * (shape.positions * inputs + shape.targets * outputs)
    of_logits = shape.rows // data * shape.targets * FLOAT32
    summed = activations + of_logits * (config.emb_dim + 3)  # their gradient; the largest, the sum, and the target's of each
    gathered = of_logits * 2 * model  # the accuracy that is logged: each device's best, and which it is
    gradient = FLOAT32 * (shape.prompt * config.emb_dim + 3)  # of the prompt, beside the sums of the loss
    return (
        sent_in_ring("all-reduce", summed, model)
        + sent_in_ring("all-gather", gathered, model)
        + sent_in_ring("all-reduce", gradient, data)
    )


def encoder_sums(config: T5Config, merged: bool) -> int:
    """How often activations [rows, positions, D] are summed over the model axis."""
    forward = 1 + 2 * config.num_encoder_layers  # embeddings; `out` and `wo`
    if merged:
        return forward + 2 * config.num_encoder_layers + 1
    read = 3 + len(config.mlp_activations)  # query, key and value; the MLP's factors
    return forward + read * config.num_encoder_layers + 2 * config.num_decoder_layers  # cross-attention's keys and values


def decoder_sums(config: T5Config, merged: bool) -> int:
    """How often activations [rows, targets, D] are; nothing flows back to what is below the decoder's first cross-attention."""
    layers = config.num_decoder_layers
    forward = 1 + 3 * layers
    if merged:
        return forward + layers + 2 * (layers - 1)
    return forward + len(config.mlp_activations) * layers + 4 * (layers - 1)
