"""What suits the device that JAX computes on."""

from dataclasses import replace

import jax

from ptune_cli.data.microbatches import COSTS, Cost


def cost_here(positions: int | None = None) -> Cost:
    """What microbatches take here; `positions`, if given, is how many are computed at once."""
    cost = COSTS[jax.default_backend()]
    return cost if positions is None else replace(cost, positions=positions)
