"""A plain JAX step as a worker: `benchmarks/plain_t5.py`, the gradient of the prompt alone, optax's Adafactor.

`--pad longest` pads a batch to its own longest row, which compiles a program for each length; `--pad 512` pads all to 512.
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import unflatten_dict

from benchmarks import plain_t5, worker
from benchmarks.compilations import Compilations
from benchmarks.rows import Rows
from ptune_cli.formats import huggingface

OPTIMIZER = optax.adafactor(0.3)


@jax.jit
def update(state: tuple[Any, Any], params: Any, inputs: jax.Array, targets: jax.Array) -> tuple[tuple[Any, Any], jax.Array]:
    """(prompt [P, D], optimizer state) after one step, and the summed loss before it."""
    prompt, optimizer = state
    loss, gradient = jax.value_and_grad(plain_t5.loss)(prompt, params, inputs, targets)
    updates, optimizer = OPTIMIZER.update(gradient, optimizer, prompt)
    return (optax.apply_updates(prompt, updates), optimizer), loss


def load(options: argparse.Namespace) -> worker.Step:
    """The step of one prompt."""
    rows = Rows(options.rows, options.batch)
    _, flat = huggingface.read(options.model, options.dtype)
    params = jax.tree.map(jnp.asarray, unflatten_dict(flat, sep="/"))
    state = jnp.asarray(rows.prompt), OPTIMIZER.init(jnp.asarray(rows.prompt))

    def run(task: str, t: int) -> dict[str, Any]:
        nonlocal state
        inputs, targets = rows.batch(task, t, to_longest=options.pad == "longest")
        state, loss = jax.block_until_ready(update(state, params, inputs, targets))
        return {"loss": float(loss) / int((targets > 0).sum())}

    return run


if __name__ == "__main__":
    flags = worker.arguments()
    flags.add_argument("--pad", choices=("512", "longest"), required=True)
    worker.serve(load, flags.parse_args(), ("jax", "jaxlib", "optax"), Compilations())
