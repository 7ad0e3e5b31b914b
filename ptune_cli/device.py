"""What suits the device that JAX computes on, and what it has room for."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import jax

from ptune_cli.data.microbatches import COSTS, Cost
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.sharding import Placement

USABLE = 0.85  # of the memory that weights leave: the rest is for what one layer is worked with
_CONTAINER = Path("/sys/fs/cgroup/memory.max")  # "max" where there is no limit


def cost_here(positions: int | None, config: T5Config, held: int, placement: Placement | None = None) -> Cost:
    """What microbatches take here, on one device or a mesh. `positions` is how many a device, or those that share weights,
    computes at once; None: as many as are fast, and fit.

    `held` is the bytes that stay in memory besides activations, weights above all.
    """
    data, model = (placement.data, placement.model) if placement else (1, 1)
    cost = COSTS[jax.default_backend()]
    if positions is None:
        positions = min(cost.positions, fitting(config, memory_bytes() - held // model, model))
    return replace(cost, positions=positions).split(data)


def fitting(config: T5Config, memory: int, model: int = 1) -> int:
    """How many positions a training step can keep the activations of in so many bytes of a device, one at least.

    `model` devices share them.
    """
    return max(int(USABLE * memory / kept_bytes(config, model)), 1)


def kept_bytes(config: T5Config, model: int = 1) -> float:
    """Bytes that the gradient of prompts keeps for each of the encoder's positions on each of `model` devices.

    In each layer what the nonlinearities need again: queries, keys, values and what attention gives, the factors of the MLP,
    and the residuals. The 4.2 is what XLA takes on an H200, the same within 1% for base, large, XL and XXL.
    """
    split = 4 * config.num_heads * config.head_dim + len(config.mlp_activations) * config.mlp_dim
    width = 4.2 * config.emb_dim + split / model
    return jax.numpy.dtype(config.dtype).itemsize * config.num_encoder_layers * width


def memory_stats() -> Mapping[str, int]:
    """JAX's account of an accelerator's memory; empty where the processor itself computes."""
    return jax.local_devices()[0].memory_stats() or {}


def memory_bytes() -> int:
    """The memory of the device, or of the machine where the processor itself computes: what a container may use of it."""
    if "bytes_limit" in (found := memory_stats()):
        return found["bytes_limit"]
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _CONTAINER.read_text().strip() if _CONTAINER.is_file() else "max"
    return min(machine, int(limit)) if limit.isdigit() else machine
