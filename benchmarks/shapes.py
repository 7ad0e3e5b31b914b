"""What a microbatch of a shape takes on this device: the numbers behind `ptune_cli.data.microbatches.COSTS`.

    python -m benchmarks.shapes --size small --shapes 2x128,8x128,2x612,4x612

Each is a microbatch of the prompt's step (rows x positions, the prompt included) on random weights, measured in turn; medians.
A cost's `positions` is where a position begins to take longer in a larger microbatch, `fixed` what small ones take more, and
`attention` the length of rows at which a position takes twice what it does in short ones.
"""

import argparse
import statistics
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli.base_model import nested
from ptune_cli.data.batches import Batch
from ptune_cli.reports.parameters import config_of
from ptune_cli.t5.config import T5Config, parameter_shapes
from ptune_cli.t5.model import T5
from ptune_cli.training.optimizer import SGD
from ptune_cli.training.step import Step, prompt_loss, start

Shape = tuple[int, int]
PROMPT, TARGETS = 20, 4
SHAPES = "1x128,2x128,4x128,8x128,12x128,20x128,2x256,6x256,1x612,2x612,4x612"


def seconds(config: T5Config, shapes: list[Shape], rounds: int) -> dict[Shape, float]:
    """The median over rounds of each shape's microbatch, which compiled before."""
    random = np.random.default_rng(0)
    flat = {name: random.normal(size=shape) * shape[0] ** -0.5 for name, shape in parameter_shapes(config).items()}
    params = nested({name: jnp.asarray(array, jnp.float32) for name, array in flat.items()})
    optimizer = SGD().build(["prompt"])
    step = Step(prompt_loss(T5(config), ["prompt"], 1e-4), optimizer, ["prompt"])
    state = start({"prompt": jnp.asarray(random.normal(size=(PROMPT, config.emb_dim)), jnp.float32)}, optimizer)
    taken: dict[Shape, list[float]] = {shape: [] for shape in shapes}
    for _ in range(rounds + 1):
        for shape in shapes:
            batch = _batch(shape, config.vocab_size, random)
            began = time.monotonic()
            state, _ = jax.block_until_ready(step(state, params, [batch]))
            taken[shape].append(time.monotonic() - began)
    return {shape: statistics.median(each[1:]) for shape, each in taken.items()}


def _batch(shape: Shape, vocabulary: int, random: np.random.Generator) -> Batch:
    """Rows without padding."""
    rows, _ = shape
    ids = random.integers(3, vocabulary, shape, np.int32)
    ids[:, :PROMPT] = -1 - np.arange(PROMPT)
    targets = random.integers(3, vocabulary, (rows, TARGETS), np.int32)
    one = np.zeros((rows, 1), np.int32), np.zeros((rows, 1, 3), np.int32)
    return Batch(ids, np.ones_like(ids), targets, np.ones_like(targets), *one)


def main() -> None:
    """Prints a line for each shape."""
    parser = argparse.ArgumentParser(description="What a microbatch of a shape takes on this device.")
    parser.add_argument("--size", default="small", help="of T5 1.1")
    parser.add_argument("--shapes", default=SHAPES, help="rows x positions of each")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    shapes = [(int(rows), int(length)) for rows, _, length in (text.partition("x") for text in options.shapes.split(","))]
    print(f"{'rows':>5} {'length':>7} {'positions':>10} {'ms':>8} {'us a position':>14}")
    found = seconds(replace(config_of(options.size), dropout_rate=0.0), shapes, options.rounds)
    for (rows, length), each in found.items():
        print(f"{rows:>5} {length:>7} {rows * length:>10} {1e3 * each:>8.1f} {1e6 * each / (rows * length):>14.1f}")


if __name__ == "__main__":
    main()
