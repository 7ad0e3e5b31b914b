"""A microbatch: what its arrays hold, and rows of ids of different lengths as one array."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import jax

Ids: TypeAlias = "np.ndarray | jax.Array"  # NumPy's as they are made here, JAX's inside a compiled step


class Batch(NamedTuple):
    """One microbatch, all int32. Ids < 0 are prompt slots; segments are 0 at padding and number the examples of a row."""

    encoder_ids: Ids  # [B, T]
    encoder_segments: Ids  # [B, T]
    targets: Ids  # [B, S], with EOS, 0 padded
    target_segments: Ids  # [B, S]
    member: Ids  # [B, E], whose each of a row's examples is
    dropout: Ids  # [B, E, 3]: member's seed, step, row of the member's batch; all that an example's dropout depends on


def pad(rows: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Rows of ids as one [B, length] int32 array, zeros behind."""
    out = np.zeros((len(rows), length), np.int32)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def joined(rows: Sequence[Sequence[np.ndarray]], count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and segments [count, length] int32 of rows of examples one behind another, zeros elsewhere."""
    ids, segments = np.zeros((2, count, length), np.int32)
    for i, row in enumerate(rows):
        start = 0
        for number, example in enumerate(row, start=1):
            stop = start + len(example)
            ids[i, start:stop], segments[i, start:stop] = example, number
            start = stop
    return ids, segments
