"""What a run takes on this device, found by rehearsing it on random weights: seconds of a step and of scoring, and memory.

No cost model knows the machine. A rehearsal runs the programs that the run will, on batches of its own data: first steps, and
batches of answers, of a few lengths. What compiling takes is left out; the programs are kept for the run.
"""

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from ptune_cli.data.batch import Batch
from ptune_cli.data.batches import SAMPLED
from ptune_cli.data.microbatches import Cost, Shape, padded_length, rows_of
from ptune_cli.device import memory_stats
from ptune_cli.evaluation.predict import Protocol
from ptune_cli.evaluation.score import Scorer
from ptune_cli.prompts.bank import table
from ptune_cli.training.plan import Work
from ptune_cli.training.step import State, start

ENOUGH = 10.0  # seconds of steps; the clock's own noise is far below
LENGTHS, BATCHES = 8, 3  # of inputs whose answers are timed, and times each; between the lengths, seconds are interpolated


def random_like(tree: Any) -> Any:
    """Values in place of abstract arrays, of the size that trained weights have. Zeros are quicker on a GPU."""
    values = np.random.default_rng(0).normal(size=1 << 16).astype(np.float32)
    return jax.tree.map(lambda leaf: (np.resize(values, leaf.shape) * leaf.shape[0] ** -0.5).astype(leaf.dtype), tree)


def step_seconds(work: Work, state: State, frozen: Any) -> tuple[State, float]:
    """The state after some steps, and the mean seconds of a step.

    Few slow steps may have more in them than most: what they took is scaled by what the cost of their shapes says.
    """
    steps = list(work.sampled())
    each = {part.encoder_ids.shape: part for parts in steps for part in parts}
    state, pending = jax.block_until_ready(work.step(state, frozen, list(each.values())))  # compiles
    began, cost = time.perf_counter(), 0.0
    for t in range(SAMPLED):
        parts = work.batches(t)  # made anew while the device computes, as in a run
        previous, (state, pending) = pending, work.step(state, frozen, parts)
        cost += _cost(work, parts)
        jax.block_until_ready(previous)
        if time.perf_counter() - began > ENOUGH:
            break
    jax.block_until_ready((state, pending))
    mean = sum(_cost(work, parts) for parts in steps) / len(steps)
    return state, (time.perf_counter() - began) * mean / cost


def _cost(work: Work, parts: Sequence[Batch]) -> float:
    return sum(work.batches.cost.of(Shape(*part.encoder_ids.shape)) for part in parts)


def scoring_seconds(
    scorer: Scorer,
    weights: tuple[Any, jax.Array | np.ndarray],  # of the model, and the prompt table
    inputs: Sequence[np.ndarray],  # laid out
    protocols: Sequence[Protocol],
    labels: Sequence[str] | None,
    cost: Cost,
) -> float:
    """Seconds to answer these inputs: of one batch of a few of their lengths, and those between interpolated."""
    often = Counter(padded_length(len(ids)) for ids in inputs)
    lengths = sorted(often)
    timed = sorted({lengths[round(i)] for i in np.linspace(0, len(lengths) - 1, LENGTHS)})
    seconds = []
    for length in timed:
        rows = [ids for ids in inputs if padded_length(len(ids)) == length][: rows_of(length, cost)]
        _, *taken = [_seconds(lambda rows=rows: scorer.answers(*weights, rows, protocols, labels)) for _ in range(1 + BATCHES)]
        seconds.append(float(np.median(taken)))  # without the first, which compiles
    batches = [-(-often[length] // rows_of(length, cost)) for length in lengths]
    return float(np.interp(lengths, timed, seconds) @ batches)


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def rehearse(work: Work) -> tuple[float, tuple[Any, jax.Array | np.ndarray]]:
    """The mean seconds of a step; and the model's weights and the prompt table, for scoring."""
    placement = work.step.placement
    frozen = placement.put(random_like(work.frozen))
    state = start(random_like(work.trainable), work.step.optimizer, placement)
    state, seconds = step_seconds(work, state, frozen)
    if frozen:
        return seconds, (frozen, table(state.trainable, work.step.names))
    width = state.trainable["token_embedder"]["embedding"].shape[1]
    return seconds, (state.trainable, np.zeros((1, width), np.float32))


def peak_bytes() -> int:
    """The most memory held so far: of the accelerator, or of this process where that computes itself."""
    if "peak_bytes_in_use" in (found := memory_stats()):
        return found["peak_bytes_in_use"]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux counts KiB
