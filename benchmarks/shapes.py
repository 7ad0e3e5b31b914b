"""What a microbatch of a shape takes on this device: the numbers behind `ptune_cli.data.microbatches.COSTS`.

    python -m benchmarks.shapes --size small --shapes 2x128,8x128,2x612,4x612

Each is a microbatch of the prompt's step (rows x positions, the prompt included) on random weights, measured in turn; medians.
A cost's `positions` is where a position begins to take longer in a larger microbatch, `fixed` what small ones take more, and
`attention` the length of rows at which a position takes twice what it does in short ones.
"""

import argparse
import statistics
import time
from contextlib import suppress
from dataclasses import replace

import jax

from benchmarks.model_sizes import NAMES, config_of
from benchmarks.random_step import RandomStep
from ptune_cli.data.batch import Batch

Shape = tuple[int, int]
PROMPT = 20
SHAPES = "1x128,2x128,4x128,8x128,12x128,20x128,2x256,6x256,1x612,2x612,4x612"


def parsed(text: str) -> list[Shape]:
    """ "1x128,2x128" as rows and positions."""
    return [(int(rows), int(length)) for rows, _, length in (each.partition("x") for each in text.split(","))]


def seconds(step: RandomStep, shapes: list[Shape], rounds: int) -> dict[Shape, float | None]:
    """The median over rounds of each shape's microbatch, which compiled before; None for a shape that does not fit."""
    batches = {shape: step.batch(*shape) for shape in shapes}
    step.compile_all(list(batches.values()))
    taken: dict[Shape, list[float]] = {shape: [] for shape in shapes if _fits(step, batches[shape])}
    for _ in range(rounds):
        for shape, each in taken.items():
            began = time.monotonic()
            jax.block_until_ready(step([batches[shape]]))
            each.append(time.monotonic() - began)
    return {shape: statistics.median(taken[shape]) if shape in taken else None for shape in shapes}


def _fits(step: RandomStep, batch: Batch) -> bool:
    """Whether the step can be taken: only its state is lost if not."""
    with suppress(jax.errors.JaxRuntimeError):
        jax.block_until_ready(step([batch]))
        return True
    step.restart()
    return False


def main() -> None:
    """Prints a line for each shape."""
    parser = argparse.ArgumentParser(description="What a microbatch of a shape takes on this device.")
    parser.add_argument("--size", default="small", choices=NAMES, help="of T5 1.1")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="of weights and activations")
    parser.add_argument("--shapes", default=SHAPES, help="rows x positions of each")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    step = RandomStep(replace(config_of(options.size), dtype=options.dtype, dropout_rate=0.0), PROMPT)
    print(f"{'rows':>5} {'length':>7} {'positions':>10} {'ms':>8} {'us a position':>14}")
    for (rows, length), each in seconds(step, parsed(options.shapes), options.rounds).items():
        taken = f"{1e3 * each:>8.1f} {1e6 * each / (rows * length):>14.1f}" if each is not None else "does not fit"
        print(f"{rows:>5} {length:>7} {rows * length:>10} {taken}")


if __name__ == "__main__":
    main()
