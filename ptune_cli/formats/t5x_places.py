"""Where each of T5's flat parameters lies in the tree that a T5X network reads: itself, or in a scanned stack.

T5X's minimal T5 (`t5x.examples.t5`) and flaxformer's have a tree as `t5.config.parameter_shapes` names it. T5X's scanned T5
(`t5x.examples.scalable_t5`) stacks the layers on axis 1, splits heads, and has a relative position bias in every layer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from ptune_cli.formats.t5x_layouts import RELPOS
from ptune_cli.t5.config import T5Config, parameter_shapes

Shape = tuple[int, ...]
Index = tuple[slice | int, ...]

LAYER = re.compile(r"(encoder|decoder)/layers_(\d+)/(.+)")
SHARED = re.compile(rf"(encoder|decoder)/{RELPOS}")
INPUTS, OUTPUT = re.compile(r".*/(query|key|value)/kernel"), re.compile(r".*/out/kernel")


@dataclass(frozen=True)
class Place:
    """Where a parameter goes: the stored array's name and shape, and which layers on its axis 1 (None: the whole array)."""

    array: str
    shape: Shape
    layers: tuple[int, ...] | None = None

    @property
    def part_shape(self) -> Shape:
        """The shape that the parameter's values have in the stored array: less the axis of layers."""
        return self.shape if self.layers is None else self.shape[:1] + self.shape[2:]

    def chunks(self, chunk: Shape) -> Iterator[tuple[Index, tuple[slice, ...]]]:
        """The stored array's chunks, of shape `chunk`, that the parameter fills, and which of its values each holds."""
        sizes = chunk if self.layers is None else chunk[:1] + chunk[2:]
        for block in product(*(_slices(n, size) for n, size in zip(self.part_shape, sizes, strict=True))):
            if self.layers is None:
                yield block, block
            else:
                yield from (((*block[:1], layer, *block[1:]), block) for layer in self.layers)


def flat_places(config: T5Config) -> dict[str, Place]:
    """{parameter: its place} in the tree of T5X's minimal T5, where each is an array of its own."""
    return {name: Place(name, shape) for name, shape in parameter_shapes(config).items()}


def scanned_places(config: T5Config) -> dict[str, Place]:
    """{parameter: its place} in the tree of T5X's scanned T5. A bias that layers share is in each of them."""
    return {name: _scanned(name, shape, config) for name, shape in parameter_shapes(config).items()}


def _scanned(name: str, shape: Shape, config: T5Config) -> Place:
    depth = {"encoder": config.num_encoder_layers, "decoder": config.num_decoder_layers}
    if shared := SHARED.fullmatch(name):
        stack, rest, layers = shared[1], RELPOS, range(depth[shared[1]])
    elif layer := LAYER.fullmatch(name):
        stack, rest, layers = layer[1], layer[3], (int(layer[2]),)
    else:
        return Place(name, shape)
    first, *others = _split(name, shape, config)
    return Place(f"{stack}/{stack}/{rest}", (first, depth[stack], *others), tuple(layers))


def _split(name: str, shape: Shape, config: T5Config) -> Shape:
    """The shape of a layer's parameter with the heads of attention on an axis of their own."""
    heads = (config.num_heads, config.head_dim)
    if INPUTS.fullmatch(name):
        return (shape[0], *heads)
    return (*heads, shape[1]) if OUTPUT.fullmatch(name) else shape


def _slices(n: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, n, size)]
