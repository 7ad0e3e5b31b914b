"""What the accelerator is, what it states and what it does: its name, its memory, the rate of its matrix products."""

import shutil
import statistics
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax
import jax.numpy as jnp

# Dense bfloat16 operations a second, as the makers' data sheets state them (without sparsity).
STATED = {
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
}
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "jax-cuda13-plugin", "jax-cuda12-plugin")


def facts() -> dict[str, Any]:
    """The device's kind, its driver (None if no tool tells it) and the versions of what computes on it."""
    return {"device_kind": jax.devices()[0].device_kind, "driver": _driver(), "versions": _versions()}


def stated_rate() -> float | None:
    """The bfloat16 operations a second that the maker states; None for a device that the table has not."""
    return STATED.get(jax.devices()[0].device_kind)


def product_rate(side: int, products: int = 20, rounds: int = 5) -> float:
    """Operations a second of the product of two square bfloat16 matrices of random numbers: the median of the rounds."""
    a, b = (jax.random.normal(jax.random.key(i), (side, side), jnp.bfloat16) for i in range(2))
    product = jax.jit(lambda a, b: a @ b)
    taken = []
    for _ in range(rounds + 1):  # the first compiles, and wakes the clocks
        began = time.monotonic()
        jax.block_until_ready([product(a, b) for _ in range(products)])
        taken.append((time.monotonic() - began) / products)
    return 2 * side**3 / statistics.median(taken[1:])


def memory() -> dict[str, int | None]:
    """The most bytes that were in use on the device so far in this process, and those there are. None where none tells."""
    stats = jax.devices()[0].memory_stats() or {}
    return {"peak_bytes": stats.get("peak_bytes_in_use"), "limit_bytes": stats.get("bytes_limit")}


def _driver() -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or None


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
