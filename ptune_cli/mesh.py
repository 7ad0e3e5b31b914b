"""Which mesh a run computes on: the one that was asked for, or the least split of the weights that devices have room for."""

import re
from collections.abc import Iterator

import jax

from ptune_cli.device import memory_bytes
from ptune_cli.errors import UserError
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.sharding import Placement

FOR_WEIGHTS = 0.5  # of a device's memory, at most: the rest is for activations
WRITTEN = re.compile(r"data=(\d+),model=(\d+)")


def placement(asked: str | None, config: T5Config, weight_bytes: int) -> Placement:
    """On all devices of all processes. `asked` is "data=4,model=2": rows of a batch in 4 parts, weights in 2.

    UserError for what is no mesh, for one that is not of all devices, and for one that the model cannot be split over.
    """
    count = len(jax.devices())
    if asked is None:
        return Placement.of(*smallest_split(config, weight_bytes, count, memory_bytes()))
    found = WRITTEN.fullmatch(asked.replace(" ", ""))
    if not found or "0" in found.groups():
        raise UserError(f"mesh is '{asked}', expected data=N,model=M", _choices(config, count))
    data, model = map(int, found.groups())
    if data * model != count:
        raise UserError(f"mesh {asked} has {data * model} devices, and there are {count}", _choices(config, count))
    if odd := _undivided(config, model):
        raise UserError(f"mesh {asked}: {' and '.join(odd)} cannot be split over {model} devices", _choices(config, count))
    return Placement.of(data, model)


def smallest_split(config: T5Config, weight_bytes: int, count: int, memory: int) -> tuple[int, int]:
    """The most parts of a batch that leave every device, of so many bytes, room for its part of the weights."""
    possible = list(meshes(config, count))
    room = FOR_WEIGHTS * memory
    return next((mesh for mesh in possible if weight_bytes / mesh[1] <= room), possible[-1])


def meshes(config: T5Config, count: int) -> Iterator[tuple[int, int]]:
    """(data, model) of all meshes that this model can be split over, the least split first."""
    return ((count // n, n) for n in range(1, count + 1) if count % n == 0 and not _undivided(config, n))


def _undivided(config: T5Config, model: int) -> list[str]:
    sizes = {"heads": config.num_heads, "positions of the MLP": config.mlp_dim, "embeddings": config.vocab_size}
    return [f"{size} {name}" for name, size in sizes.items() if size % model]


def _choices(config: T5Config, count: int) -> str:
    return "have: " + "; ".join(f"data={data},model={model}" for data, model in meshes(config, count))
