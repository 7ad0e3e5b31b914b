"""What pre-training makes of token ids, without TensorFlow: span corruption (T5) and prefix LM (LM adaptation).

`ptune pretrain` and the seqio tasks of `tasks.language_modeling` share these; end of sequence is their business.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Pair(NamedTuple):
    """Inputs [T] and targets [S] of one example."""

    inputs: np.ndarray
    targets: np.ndarray


def hidden_and_spans(length: int, density: float, mean_span: float) -> tuple[int, int]:
    """How many of `length` tokens are hidden, and in how many spans."""
    hidden = min(max(round(length * density), 1), length - 1)
    return hidden, max(round(hidden / mean_span), 1)


def window(length: int, density: float, mean_span: float) -> int:
    """The most tokens of text whose corrupted form still fits in `length`, end of sequence included."""
    size = length - 1  # fits whatever is hidden: there are at most as many spans as hidden tokens
    while True:
        hidden, spans = hidden_and_spans(size + 1, density, mean_span)
        if size + 1 - hidden + spans + 1 > length:
            return size
        size += 1


def corrupt(
    ids: np.ndarray, sentinel: Callable[[int], int], rng: np.random.Generator, density: float = 0.15, mean_span: float = 3.0
) -> Pair:
    """Span corruption (Raffel et al. 2020, 3.1.4) of two tokens or more: each hidden span becomes one sentinel.

    The target is each sentinel followed by what it hides. `sentinel(i)` is the id of `<extra_id_{i}>`.
    """
    count, spans = hidden_and_spans(len(ids), density, mean_span)
    hidden, shown = partition(count, spans, rng), partition(len(ids) - count, spans, rng)
    inputs, targets, at = [], [], 0
    for i, (keep, hide) in enumerate(zip(shown, hidden, strict=True)):
        mark = np.array([sentinel(i)], np.int32)
        inputs += [ids[at : at + keep], mark]
        targets += [mark, ids[at + keep : at + keep + hide]]
        at += keep + hide
    return Pair(np.concatenate(inputs), np.concatenate(targets))


def partition(total: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """`total` as a sum of `parts` random positive numbers, every such sum equally likely."""
    cuts = np.sort(rng.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))


def split_prefix(ids: np.ndarray, inputs: int, targets: int, rng: np.random.Generator) -> Pair:
    """Prefix LM (Lester et al. 2021, 2.2): ids cut at a random place where both sides fit, `inputs` with an end of sequence."""
    pivot = int(rng.integers(max(len(ids) - targets, 0), min(inputs, len(ids))))
    return Pair(ids[:pivot], ids[pivot:])
