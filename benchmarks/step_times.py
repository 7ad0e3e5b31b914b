"""How long a step takes on an accelerator, and how much of what its matrix products can do that is."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.device_facts import memory, stated_rate
from benchmarks.random_step import TARGETS, RandomStep
from benchmarks.required_operations import required_operations
from ptune_cli.data.batch import Batch

FEWEST, MOST = 3, 20  # steps that are timed
SECONDS = 3.0  # about what they may take


class Times(NamedTuple):
    """Seconds of a step."""

    alone: float  # the median of steps that are each waited for
    running: float  # of as many that are waited for together, as training runs them
    steps: int


def timed(run: Callable[[], Any], seconds: float = SECONDS) -> Times:
    """Times of calls that are compiled, of as many as take about `seconds` each way; two are made and not counted."""
    jax.block_until_ready(run())
    steps = int(min(max(seconds / _seconds(run), FEWEST), MOST))
    alone = statistics.median(_seconds(run) for _ in range(steps))
    began = time.monotonic()
    jax.block_until_ready([run() for _ in range(steps)])
    return Times(alone, (time.monotonic() - began) / steps, steps)


def _seconds(run: Callable[[], Any]) -> float:
    began = time.monotonic()
    jax.block_until_ready(run())
    return time.monotonic() - began


def measured(step: RandomStep, batches: Sequence[Batch], rate: float) -> dict[str, Any]:
    """A step of these microbatches, all alike, compiled and timed beside a matrix product of `rate` operations a second.

    `share` is of the operations that T5 as it is written needs (benchmarks/required_operations.py). ptune computes some of
    them in a cheaper order; `xla_share` is of what XLA counts in its program before it optimises, which are fewer.
    """
    began = time.monotonic()
    program = step.compile(batches[0])
    compile_seconds = time.monotonic() - began
    before = {name: np.array(prompt) for name, prompt in step.state.trainable.items()}
    metrics = jax.block_until_ready(step(batches))
    first_seconds = time.monotonic() - began
    times = timed(lambda: step(batches))
    return {
        **speed(step, batches, times, rate),
        **_xla(step, batches, times.running, rate),
        "compile_seconds": compile_seconds,
        "first_step_seconds": first_seconds,
        **memory(),
        "program_bytes": _temporary(program),
        "loss": float(metrics["loss"][0]),
        "finite": bool(step.state.failed_at < 0),
        "prompt_changed": all(bool((np.array(step.state.trainable[name]) != old).any()) for name, old in before.items()),
    }


def speed(step: RandomStep, batches: Sequence[Batch], times: Times, rate: float) -> dict[str, Any]:
    """What a step of full rows achieves."""
    rows, positions = (sum(batch.encoder_ids.shape[0] for batch in batches), batches[0].encoder_ids.shape[1])
    needed = required_operations(step.config, np.full(rows, positions), np.full(rows, TARGETS))
    stated = stated_rate()
    return {
        "rows": rows,
        "positions": positions,
        "microbatches": len(batches),
        "seconds": times.running,
        "seconds_alone": times.alone,
        "steps": times.steps,
        "examples_per_second": rows / times.running,
        "positions_per_second": rows * positions / times.running,
        "operations_per_second": needed / times.running,
        "rate": rate,
        "share": needed / times.running / rate,
        "stated_share": needed / times.running / stated if stated else None,
    }


def _xla(step: RandomStep, batches: Sequence[Batch], seconds: float, rate: float) -> dict[str, Any]:
    """Nothing where XLA does not count."""
    one = step.step.operations(step.state, step.params, batches[0])
    if one is None:
        return {"xla_operations": None}
    counted = len(batches) * one
    return {"xla_operations": counted, "xla_share": counted / seconds / rate}


def _temporary(program: jax.stages.Compiled) -> int | None:
    """Bytes that the program takes besides its arguments and results; None where XLA does not say."""
    try:
        return getattr(program.memory_analysis(), "temp_size_in_bytes", None)
    except jax.errors.JaxRuntimeError:
        return None
