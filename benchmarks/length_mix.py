"""SuperGLUE's mix of lengths on an accelerator: what cutting a step's rows into microbatches saves over padding all alike."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from benchmarks import ours, rows
from benchmarks.device_facts import memory
from benchmarks.random_step import RandomStep
from benchmarks.step_times import timed
from ptune_cli.data.batch import Batch
from ptune_cli.data.batches import Batches
from ptune_cli.data.microbatches import Shape
from ptune_cli.prompts.bank import Prompt, members

TASKS = ("copa", "rte", "boolq", "multirc")  # short to long
STEPS = 2  # of each task
SECONDS = 0.3  # about what timing each may take
DRAWN = 16  # steps whose rows are drawn: their lengths choose the shapes

Cut = Callable[[Batches, int], list[Batch]]


class Padded(Batches):
    """All rows of a step in one microbatch, of the longest length there may be."""

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return (Shape(self.size, self.lengths.longest),)


def _padded(batches: Batches, step: int) -> list[Batch]:
    return Padded(batches.sources, batches.size, batches.lengths, batches.cost, packing=False)(step)


WAYS: dict[str, Cut] = {
    "padded to the longest": _padded,
    "microbatches": lambda batches, step: replace(batches, packing=False)(step),
    "packed": lambda batches, step: replace(batches, packing=True)(step),
}


def measured(step: RandomStep, size: int, tiny: bool) -> Iterator[dict[str, Any]]:
    """A line for each way: the mean over the tasks of the medians of their steps' seconds, and what it compiled."""
    with tempfile.TemporaryDirectory() as folder:
        tasks = _tasks(step, size, list(TASKS[: 1 if tiny else None]), Path(folder) / "rows.npz")
    for name, cut in WAYS.items():
        steps = {task: [cut(batches, t) for t in range(STEPS)] for task, batches in tasks.items()}
        began = time.monotonic()
        programs = step.compile_all([batch for of_task in steps.values() for each in of_task for batch in each])
        compile_seconds = time.monotonic() - began
        seconds = {task: statistics.median(_seconds(step, each) for each in own) for task, own in steps.items()}
        mean = statistics.fmean(seconds.values())
        yield {
            "way": name,
            "rows": size,
            "seconds": mean,
            "examples_per_second": size / mean,
            "tasks": seconds,
            "microbatches": statistics.fmean(len(each) for own in steps.values() for each in own),
            "programs": programs,
            "compile_seconds": compile_seconds,
            **memory(),
        }


def _tasks(step: RandomStep, size: int, tasks: list[str], file: Path) -> dict[str, Batches]:
    rows.write(file, tasks, 1, DRAWN * size, step.config.vocab_size, (step.prompt, step.config.emb_dim))
    drawn, bank = rows.Rows(file, size), members(["rows"], [Prompt(length=step.prompt)], [0])
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(step.params))
    return {task: ours.batches(drawn, task, bank, size, step.config, held) for task in tasks}


def _seconds(step: RandomStep, batches: list[Batch]) -> float:
    return timed(lambda: step(batches), SECONDS).running
