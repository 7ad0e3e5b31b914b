"""Where arrays lie on a mesh of devices, `data` x `model`: a table of weights; batches by rows; everything else on each device.

One device is a mesh of one. Each process holds and reads only what its own devices have of a sharded array.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

DATA, MODEL = "data", "model"
# The end of a parameter's T5X name -> what its axes are split over. As in T5X: heads, the MLP's width and the vocabulary over the
# model axis, D over none, so that a layer's two sums over split axes (`out`, `wo`) are all that devices tell each other.
RULES: Mapping[str, tuple[str | None, ...]] = {
    r"token_embedder/embedding": (MODEL, None),
    r"(query|key|value)/kernel": (None, MODEL),
    r"out/kernel": (MODEL, None),
    r"wi(_\d)?/kernel": (None, MODEL),
    r"wo/kernel": (MODEL, None),
    r"relpos_bias/rel_embedding": (MODEL, None),
    r"logits_dense/kernel": (None, MODEL),
}

Read = Callable[[tuple[slice, ...]], np.ndarray]  # a part of an array that is still in its file


def axes_of(name: str, ndim: int) -> tuple[str | None, ...]:
    """What each axis of the array at this path of a tree is split over: of a parameter, or of what an optimizer keeps of one."""
    found = next((axes for pattern, axes in RULES.items() if re.search(rf"(^|/){pattern}$", name)), ())
    return found if len(found) == ndim else ()  # Adafactor's means over an axis are small, and go everywhere


@dataclass(frozen=True)
class Placement:
    """A mesh, and what lies where on it."""

    mesh: Mesh

    @classmethod
    def of(cls, data: int = 1, model: int = 1) -> "Placement":
        """The first data x model devices of all processes."""
        devices = jax.devices()[: data * model]
        return cls(jax.make_mesh((data, model), (DATA, MODEL), axis_types=(AxisType.Auto,) * 2, devices=devices))

    @property
    def data(self) -> int:
        """Into how many parts a batch's rows are split."""
        return self.mesh.shape[DATA]

    @property
    def model(self) -> int:
        """Into how many parts the weights are split."""
        return self.mesh.shape[MODEL]

    @property
    def everywhere(self) -> NamedSharding:
        """Of prompts, their optimizer's state, metrics and answers."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def by_row(self) -> NamedSharding:
        """Of what has a row for each of a batch."""
        return NamedSharding(self.mesh, PartitionSpec(DATA))

    def shardings(self, tree: Any) -> Any:
        """Of each array of a tree of weights, prompts, or an optimizer's state, by its name."""

        def one(path, leaf):
            axes = axes_of("/".join(_word(key) for key in path), np.ndim(leaf))
            return NamedSharding(self.mesh, PartitionSpec(*axes))

        return jax.tree_util.tree_map_with_path(one, tree)

    def abstract(self, tree: Any) -> Any:
        """The tree's shapes and dtypes, and where its arrays will lie."""
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree, self.shardings(tree)
        )

    def abstract_rows(self, batch: Any) -> Any:
        """The same of a batch's arrays, which have a row for each of its rows."""
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.by_row), batch)

    def bytes(self, tree: Any) -> int:
        """What a device has of a tree's arrays."""
        placed = jax.tree.leaves(self.abstract(tree))
        return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in placed)

    def put(self, tree: Any) -> Any:
        """A tree of arrays that every process has whole, where it belongs. What is there already stays as it is."""
        return jax.tree.map(_placed, tree, self.shardings(tree))

    def put_rows(self, batch: Any) -> Any:
        """A batch that every process has whole, each row on its own part of the data axis."""
        return jax.tree.map(lambda leaf: _placed(leaf, self.by_row), batch)

    def read(self, name: str, shape: tuple[int, ...], read: Read) -> jax.Array:
        """A parameter of which each process reads its own devices' parts."""
        sharding = NamedSharding(self.mesh, PartitionSpec(*axes_of(name, len(shape))))
        return jax.make_array_from_callback(shape, sharding, lambda index: read(index or ()))


def fetch(array: Any) -> np.ndarray:
    """The whole array, on every process."""
    if isinstance(array, jax.Array) and not (array.is_fully_addressable or array.is_fully_replicated):
        return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.asarray(array)


def of_every_process(values: np.ndarray) -> np.ndarray:
    """[processes, N] of the values [N] that each process has."""
    return np.asarray(multihost_utils.process_allgather(values)) if jax.process_count() > 1 else values[None]


def _placed(leaf: Any, sharding: NamedSharding) -> jax.Array:
    if isinstance(leaf, jax.Array) and leaf.sharding.is_equivalent_to(sharding, leaf.ndim):
        return leaf
    if sharding.is_fully_addressable:
        return jax.device_put(leaf, sharding)
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def _word(key: Any) -> str:
    return str(next(getattr(key, name) for name in ("key", "name", "idx") if hasattr(key, name)))
