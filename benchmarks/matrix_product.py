"""The machine's own speed: float32 operations a second of a matrix product. As a worker, a step is one product."""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks import worker

SIDE = 2048  # of the square matrices


def peak() -> Callable[[], float]:
    """A function that measures float32 operations a second of a matrix product."""
    matrix = jnp.ones((SIDE, SIDE))
    product = jax.jit(lambda a: a @ a)
    jax.block_until_ready(product(matrix))

    def measured() -> float:
        began = time.monotonic()
        jax.block_until_ready(product(matrix))
        return 2 * SIDE**3 / (time.monotonic() - began)

    return measured


def load(_: object) -> worker.Step:
    """Every step measures anew."""
    measured = peak()
    return lambda task, t: {"rate": measured()}


if __name__ == "__main__":
    worker.serve(load, worker.arguments().parse_args(), ("jax", "jaxlib"))
