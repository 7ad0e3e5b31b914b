"""Reads T5X checkpoints: any container (msgpack and Zarr, Orbax), any layout of the tree, into T5's flat parameters."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import prod
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np

from ptune_cli.errors import UserError, nearest
from ptune_cli.formats.strict import Put, Shapes, check_float, check_shapes, finite, float_dtype, whole
from ptune_cli.formats.t5x_layouts import RELPOS, flat
from ptune_cli.formats.t5x_store import CACHE_BYTES, ITEMS, TREES, Checkpoint, Stored
from ptune_cli.t5.config import T5Config, parameter_shapes

READERS = 4  # arrays in flight: enough to hide latency, few enough that unread ones take no memory
SMALL_CACHE = 2**24  # bytes
STEP = re.compile(r"checkpoint_(\d+)")
ROOTS = ("optimizer/target/", "target/", "params/params/", "params/", "")  # T5X, T5X with Orbax, Flax, a bare tree


def read(path: str | Path, config: T5Config, dtype: str = "float32", put: Put = whole, in_turn: bool = False) -> dict[str, Any]:
    """The parameters {T5X name: what `put` makes of it, in `dtype`} of the newest step in `path`, in T5's flat layout.

    Of an array that is stored in the flat layout only the parts that `put` asks for are read; another is read whole.
    `in_turn` is to hold little, for a `put` that keeps little: arrays are read one after another, large ones a chunk at a time,
    so that the largest is in memory, and a chunk as it is stored and as it is read.
    `path` is a step's folder, a folder of `checkpoint_N` folders, or a step's gs:// folder. Prompts, optimizer state and
    other things a trainer saves are passed over. Raises UserError unless the arrays are exactly those of
    `t5.config.parameter_shapes(config)`, and naming the file or array for one that is damaged.
    """
    target, expected, step = float_dtype(dtype), parameter_shapes(config), find_step(path)
    checkpoint = Checkpoint(step, SMALL_CACHE if in_turn else CACHE_BYTES)
    names = _parameters(checkpoint.names)
    stored = checkpoint.open(names)
    split = partial(flat, bias_per_layer=f"encoder/layers_0/{RELPOS}" in expected, path=step)
    _check(stored, names, split, expected, step)

    def load(array: Stored) -> dict[str, Any]:
        def part(index: tuple[slice, ...]) -> np.ndarray:
            return finite(array.name, array.read(target, index), target, step)

        name = names[array.name]
        # In turn, the chunks of a small array stay in the cache while its parts are asked for, those of a large one would not.
        if expected.get(name) == array.shape and not (in_turn and array.nbytes > SMALL_CACHE):
            return {name: put(name, array.shape, part)}
        values = _by_chunks(array, part, target) if in_turn else part(())
        return {name: put(name, layer.shape, layer.__getitem__) for name, layer in split(name, values)}

    with ThreadPoolExecutor(1 if in_turn else READERS) as pool:
        return {name: part for parts in pool.map(load, stored) for name, part in parts.items()}


def _by_chunks(array: Stored, part: Callable[[tuple[slice, ...]], np.ndarray], dtype: np.dtype) -> np.ndarray:
    # Memory of its own, which goes back to the system as soon as it is not needed: the allocator's may not.
    count = prod(array.shape)
    values = np.frombuffer(mmap(-1, max(count, 1) * dtype.itemsize), dtype, count).reshape(array.shape)
    for index in array.chunks:
        values[index] = part(index)
    return values


def stored_arrays(path: str | Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """The parameters {T5X name in the flat layout: (shape, dtype)} of the newest step in `path`, without reading any value.

    Raises UserError where there is no checkpoint.
    """
    step = find_step(path)
    checkpoint = Checkpoint(step)
    names = _parameters(checkpoint.names)
    split = partial(flat, bias_per_layer=True, path=step)  # true: reads no value to see whether layers share a bias
    arrays = checkpoint.open(names)
    return {part: (shape, array.dtype.name) for array in arrays for part, shape in _split_shapes(array, names, split)}


def read_array(path: str | Path, name: str) -> np.ndarray:
    """One parameter, float32, of the newest step in `path`, as it is stored under its T5X name. UserError if there is none."""
    step = find_step(path)
    checkpoint = Checkpoint(step)
    found = [stored for stored, short in _parameters(checkpoint.names).items() if short == name]
    if not found:
        raise UserError(f"{step} has no {name}", nearest(name, _parameters(checkpoint.names).values()))
    (array,), float32 = checkpoint.open(found), np.dtype(np.float32)
    check_float(name, array.dtype.name, step)
    return finite(name, array.read(float32), float32, step)


def find_step(path: str | Path) -> str:
    """The checkpoint folder at `path`: itself, or its `checkpoint_N` of the highest N. A gs:// folder is taken as given.

    Raises UserError where there is none.
    """
    if str(path).startswith("gs://"):
        return str(path).rstrip("/")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f"no checkpoint folder at {path}", "give a `checkpoint_N` folder or the folder that holds them")
    if _holds_tree(folder):
        return str(folder)
    steps = {int(m[1]): f for f in folder.iterdir() if (m := STEP.fullmatch(f.name)) and _holds_tree(f)}
    if not steps:
        raise UserError(f"{path} is not a T5X checkpoint", "give a `checkpoint_N` folder or the folder that holds them")
    return str(steps[max(steps)])


def is_t5x(path: str | Path) -> bool:
    """Whether `path` looks like a T5X checkpoint, or a folder of them. A gs:// folder is taken for one."""
    try:
        return bool(find_step(path))
    except UserError:
        return False


def _holds_tree(folder: Path) -> bool:
    return any((folder / item / tree).is_file() for item in ITEMS for tree in TREES)


def _parameters(names: list[str]) -> dict[str, str]:
    """The T5 parameters among the names of a tree: {name in the tree: name under the root}."""
    root = next(root for root in ROOTS if any(name.startswith(root) for name in names) or not root)
    under_root = {name: name.removeprefix(root) for name in names if name.startswith(root)}
    # A parameter is within a module: `step` and `version` at the top of a bare tree are not.
    return {name: short for name, short in under_root.items() if "/" in short and "prompt" not in short.split("/")}


def _check(stored: list[Stored], names: dict[str, str], split: Callable, expected: Shapes, step: str) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    for array in stored:
        check_float(array.name, array.dtype.name, step)
        for name, shape in _split_shapes(array, names, split):
            if name in shapes:
                raise UserError(f"{step} holds {name} twice, in two layouts of the tree", "remove one of them")
            shapes[name] = shape
    check_shapes(shapes, expected, step)


def _split_shapes(array: Stored, names: dict[str, str], split: Callable) -> Iterator[tuple[str, tuple[int, ...]]]:
    stand_in = np.broadcast_to(np.float32(0), array.shape)  # takes no memory, and splits as the array will
    return ((name, part.shape) for name, part in split(names[array.name], stand_in))
