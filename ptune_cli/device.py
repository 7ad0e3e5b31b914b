"""What suits the device that JAX computes on, and what it has room for."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import jax

from ptune_cli.data.microbatches import COSTS, Cost

_CONTAINER = Path("/sys/fs/cgroup/memory.max")  # "max" where there is no limit


def cost_here(positions: int | None = None) -> Cost:
    """What microbatches take here; `positions`, if given, is how many are computed at once."""
    cost = COSTS[jax.default_backend()]
    return cost if positions is None else replace(cost, positions=positions)


def memory_stats() -> Mapping[str, int]:
    """JAX's account of an accelerator's memory; empty where the processor itself computes."""
    return jax.devices()[0].memory_stats() or {}


def memory_bytes() -> int:
    """The memory of the device, or of the machine where the processor itself computes: what a container may use of it."""
    if "bytes_limit" in (found := memory_stats()):
        return found["bytes_limit"]
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _CONTAINER.read_text().strip() if _CONTAINER.is_file() else "max"
    return min(machine, int(limit)) if limit.isdigit() else machine
