"""One part of `benchmarks/accelerator.py`, in a process of its own: a line of JSON for each thing it measured, when it has.

python -m benchmarks.accelerator_part mfu --size xl
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax

from benchmarks import attention_kernels, length_mix, shapes
from benchmarks.accelerator_plan import FULL, MICROBATCH, QUICK, Plan, sizes
from benchmarks.device_facts import facts, memory, product_rate, stated_rate
from benchmarks.kernel_times import traced
from benchmarks.random_step import RandomStep
from benchmarks.step_times import measured

Line = dict[str, Any]
TRACED = 3  # steps


def product(options: argparse.Namespace, plan: Plan) -> Iterator[Line]:
    """The rate of a matrix product."""
    yield {"side": plan.side, "rate": product_rate(plan.side), "stated_rate": stated_rate()}


def mfu(options: argparse.Namespace, plan: Plan) -> Iterator[Line]:
    """A step of the whole batch in microbatches of so many rows, or of half as many if those do not fit, and its trace."""
    step, rate = RandomStep(sizes(options.size, plan), plan.prompt), product_rate(plan.side)
    rows = options.rows or min(MICROBATCH.get(options.size, plan.batch), plan.batch)
    while rows:
        line = _microbatches(step, plan, rows, rate)
        if "error" not in line:
            line["trace"] = _trace(step, plan, rows)
        yield {"size": options.size, **line}
        rows = rows // 2 if "error" in line else 0


def xxl(options: argparse.Namespace, plan: Plan) -> Iterator[Line]:
    """Training steps of the largest model, in microbatches that grow until they do not fit, or shrink until they do."""
    step = RandomStep(sizes("xxl", plan), plan.prompt)
    weights, rate = memory()["peak_bytes"], product_rate(plan.side)
    rows, growing = options.rows or MICROBATCH["xxl"], None
    while 1 <= rows <= plan.batch:
        line = _microbatches(step, plan, rows, rate)
        yield {"size": "xxl", "weights_peak_bytes": weights, **line}
        fits = "error" not in line
        growing = fits if growing is None else growing
        rows = 0 if fits != growing else 2 * rows if growing else rows // 2


def members(options: argparse.Namespace, plan: Plan) -> Iterator[Line]:
    """One prompt with its rows, and several, each with as many rows of its own, in one step of one microbatch."""
    rate, examples = product_rate(plan.side), []
    for count in (1, plan.members):
        step = RandomStep(sizes("small", plan), plan.prompt, count)
        line = measured(step, [step.batch(plan.batch, plan.member_positions)], rate)
        examples.append(line["examples_per_second"])
        yield {"size": "small", "members": count, **line, "of_one": examples[-1] / examples[0]}


def attention(options: argparse.Namespace, plan: Plan) -> Iterator[Line]:
    """Ways to compute one layer's attention."""
    for shape in plan.attention:
        yield from attention_kernels.measured(*shape)


def mix(options: argparse.Namespace, plan: Plan) -> Iterator[Line]:
    """Rows as long as SuperGLUE's, cut and padded in several ways."""
    step = RandomStep(sizes(options.size, plan), plan.prompt)
    yield from ({"size": options.size, **line} for line in length_mix.measured(step, plan.batch, tiny=plan.tiny))


def costs(options: argparse.Namespace, plan: Plan) -> Iterator[Line]:
    """What microbatches of several shapes take."""
    step = RandomStep(sizes(options.size, plan), min(plan.prompt, shapes.PROMPT))
    for (rows, positions), seconds in shapes.seconds(step, shapes.parsed(plan.shapes), rounds=5).items():
        us = seconds and 1e6 * seconds / (rows * positions)
        yield {"size": options.size, "rows": rows, "positions": positions, "seconds": seconds, "position_us": us}


PARTS: dict[str, Callable[[argparse.Namespace, Plan], Iterator[Line]]] = {
    "matmul": product,
    "mfu": mfu,
    "members": members,
    "xxl": xxl,
    "attention": attention,
    "mix": mix,
    "shapes": costs,
}


def _microbatches(step: RandomStep, plan: Plan, rows: int, rate: float) -> Line:
    """The whole batch in microbatches of so many rows; what stopped it if it does not fit. The peak is the process's so far."""
    step.restart()
    try:
        return measured(step, [step.batch(rows, plan.positions)] * max(plan.batch // rows, 1), rate)
    except jax.errors.JaxRuntimeError as error:  # no memory left
        return {"rows": rows, "positions": plan.positions, "error": f"{type(error).__name__}: {error}"[:400], **memory()}


def _trace(step: RandomStep, plan: Plan, rows: int) -> Line:
    """What the device does in the step; why not if the trace cannot be made or read: the step is measured without it."""
    batches = [step.batch(rows, plan.positions)] * max(plan.batch // rows, 1)
    try:
        return traced(lambda: step(batches), TRACED, step.compile(batches[0]).as_text() or "")
    except (RuntimeError, ValueError, OSError) as error:  # of XLA, of the trace's summary, of its file
        return {"error": f"{type(error).__name__}: {error}"[:400]}


def main() -> None:
    """Prints the part's lines; anything else that is printed goes to the standard error."""
    parser = argparse.ArgumentParser(description="One part of the accelerator's benchmark.")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--size", default="base")
    parser.add_argument("--rows", type=int, help="of a microbatch")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    about = facts()
    for line in PARTS[options.part](options, QUICK if options.quick else FULL):
        print(json.dumps({"part": options.part, **line, **about}), file=lines, flush=True)
    sys.stderr.flush()


if __name__ == "__main__":
    main()
