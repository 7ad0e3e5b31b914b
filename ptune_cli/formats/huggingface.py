"""Reads a T5 as Hugging Face's `transformers` writes it: config.json and model.safetensors in one folder."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ptune_cli.errors import UserError
from ptune_cli.formats.huggingface_config import read_config
from ptune_cli.formats.huggingface_names import EMBEDDING, EMBEDDING_COPIES, LOGITS, UNUSED, huggingface_name, is_transposed
from ptune_cli.formats.strict import Put, check_float, check_shapes, damaged, finite, float_dtype, whole
from ptune_cli.t5.config import T5Config, parameter_shapes

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}  # safetensors' names: NumPy's


@dataclass(frozen=True)
class Tensor:
    """One tensor of an open safetensors file, not yet read."""

    file: Path
    name: str
    handle: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.handle.get_slice(self.name).get_shape())

    @property
    def dtype(self) -> str:
        """NumPy's name of its type, where it has one."""
        stored = str(self.handle.get_slice(self.name).get_dtype())
        return DTYPES.get(stored, stored)

    def read(self, index: tuple[slice, ...] = ()) -> np.ndarray:
        """A part of it, or all."""
        check_float(self.name, self.dtype, str(self.file))
        return self.handle.get_slice(self.name)[index] if index else self.handle.get_tensor(self.name)


def is_huggingface(path: str | Path) -> bool:
    """Whether `path` is a folder with a config.json, as `save_pretrained` writes it."""
    return (Path(path).expanduser() / CONFIG).is_file()


def read(folder: str | Path, dtype: str = "float32", put: Put = whole) -> tuple[T5Config, dict[str, Any]]:
    """The sizes, and the parameters {T5X name: what `put` makes of it, in `dtype`}, of a T5 1.0, T5 1.1 or mT5, one by one.

    Raises UserError for another architecture, a damaged file, and unless the tensors are exactly those that config.json
    calls for.
    """
    folder = Path(folder).expanduser()
    config = read_config(folder / CONFIG)
    names = {huggingface_name(name): name for name in parameter_shapes(config)}
    with ExitStack() as stack:
        tensors = {t.name: t for file in _files(folder) for t in _open(file, stack)}
        tensors = _without_copies(tensors, config, folder)
        check_shapes({name: t.shape for name, t in tensors.items()}, _shapes(config), str(folder))
        shapes = parameter_shapes(config)
        return config, {(own := names[name]): put(own, shapes[own], _reading(own, t, dtype)) for name, t in tensors.items()}


def stored_dtypes(folder: str | Path) -> set[str]:
    """The types of a folder's tensors, without reading any value. Raises UserError for a damaged file."""
    with ExitStack() as stack:
        return {t.dtype for file in _files(Path(folder).expanduser()) for t in _open(file, stack)}


def _shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    shapes = parameter_shapes(config)
    return {huggingface_name(name): shape[::-1] if is_transposed(name) else shape for name, shape in shapes.items()}


def _turn(name: str, array: np.ndarray) -> np.ndarray:
    return array.T if is_transposed(name) else array


def _reading(name: str, tensor: Tensor, dtype: str) -> Callable[[tuple[slice, ...]], np.ndarray]:
    """Reads parts of a parameter, which may be stored turned around."""

    def read(index: tuple[slice, ...]) -> np.ndarray:
        stored = index[::-1] if is_transposed(name) else index
        return finite(tensor.name, _turn(name, tensor.read(stored)), float_dtype(dtype), str(tensor.file))

    return read


def _files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        try:
            shards = set(json.loads((folder / INDEX).read_bytes())["weight_map"].values())
            return [folder / Path(shard).name for shard in sorted(shards)]
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise damaged(folder / INDEX, error) from error
    hint = "load it with `transformers` and save it with save_pretrained(folder, safe_serialization=True)"
    raise UserError(f"no {WEIGHTS} in {folder}", hint)


def _open(file: Path, stack: ExitStack) -> Iterator[Tensor]:
    try:
        handle = stack.enter_context(safe_open(file, framework="numpy"))
    except (SafetensorError, OSError) as error:
        raise damaged(file, error) from error
    return (Tensor(file, name, handle) for name in handle.keys())


def _without_copies(tensors: dict[str, Tensor], config: T5Config, folder: Path) -> dict[str, Tensor]:
    """The tensors less those that a T5 has twice, after making sure that the copies are copies."""
    copies = (*EMBEDDING_COPIES, LOGITS) if config.logits_via_embedding else EMBEDDING_COPIES
    kept = {name: t for name, t in tensors.items() if name not in (*copies, UNUSED)}
    for copy in (tensors[name] for name in copies if name in tensors):
        embedding = kept.setdefault(EMBEDDING, copy)
        if copy is not embedding and not np.array_equal(copy.read(), embedding.read()):
            raise UserError(f"{copy.name} and {EMBEDDING} of {folder} differ, expected one embedding as in T5")
    return kept
