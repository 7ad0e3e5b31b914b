"""How many floating point operations a step of prompt tuning needs, written once."""

import numpy as np

from benchmarks.rows import Rows, lengths
from ptune_cli.t5.config import T5Config


def required_operations(config: T5Config, inputs: np.ndarray, targets: np.ndarray) -> float:
    """Of one step on rows of `inputs` [B] positions (tokens and the prompt's) and `targets` [B] tokens, padding not counted.

    A matrix product of n positions with a weight of N numbers takes 2nN operations forward and 2nN backward through the
    activations: 4nN, as frozen weights have no gradient. An attention of q queries over k keys takes 2qk(H x head_dim) twice
    forward (logits, values) and four times backward, where both factors have gradients: 12qk(H x head_dim). This counts the
    network as T5 is written; norms, softmax and the optimizer are left out, as is that nothing flows back below the prompt.
    """
    joined, width = config.num_heads * config.head_dim, config.emb_dim
    projection, mlp = width * joined, (len(config.mlp_activations) + 1) * width * config.mlp_dim
    n, s = inputs.astype(float), targets.astype(float)
    encoder = n * (4 * projection + mlp)
    cross = n * 2 * projection  # keys and values of the memory, in each layer of the decoder
    decoder = s * (6 * projection + mlp)
    weights = config.num_encoder_layers * encoder + config.num_decoder_layers * (cross + decoder) + s * width * config.vocab_size
    attention = config.num_encoder_layers * n * n + config.num_decoder_layers * (s * s + s * n)
    return float(np.sum(4 * weights + 12 * joined * attention))


def of_step(config: T5Config, rows: Rows, task: str, step: int, members: int) -> float:
    """The same of a step of so many prompts, each in front of its own rows."""
    batches = (rows.batch(task, step, to_longest=True, member=member) for member in range(members))
    return sum(required_operations(config, lengths(ids) + len(rows.prompt), lengths(targets)) for ids, targets in batches)
