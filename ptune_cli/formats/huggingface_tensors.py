"""The tensors in a Hugging Face folder, not yet read: of safetensors files or, where there are none, of PyTorch's."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ptune_cli.errors import UserError
from ptune_cli.formats import torch_file
from ptune_cli.formats.strict import DAMAGED, check_float, damaged

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TORCH, TORCH_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}  # safetensors' names: NumPy's


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file, not yet read."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str  # NumPy's name; of what NumPy does not have, the file's
    part: Callable[[tuple[slice, ...]], np.ndarray]

    def read(self, index: tuple[slice, ...] = ()) -> np.ndarray:
        """A part of it, or all: a copy. UserError where it holds no floating-point numbers."""
        check_float(self.name, self.dtype, str(self.file))
        return self.part(index)


def open_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a folder by their names. No file is kept open.

    Raises UserError where there are none, a file is damaged, or an index and its files contradict each other.
    """
    entry = entry_file(folder)
    if entry is None:
        raise UserError(f"no {WEIGHTS} and no {TORCH} in {folder}", "give the folder that `save_pretrained` wrote")
    return _indexed(entry) if entry.suffix == ".json" else _joined([entry])


def entry_file(folder: Path) -> Path | None:
    """The file that a folder's weights are read from, or the index of several: safetensors where there are any."""
    return next((folder / name for name in (WEIGHTS, INDEX, TORCH, TORCH_INDEX) if (folder / name).is_file()), None)


def files(folder: Path) -> list[Path]:
    """The files of a folder's weights, none if there are none. UserError for a damaged index."""
    entry = entry_file(folder)
    if entry is None or entry.suffix != ".json":
        return [entry] if entry else []
    return sorted({folder / shard for shard in shards(entry).values()})


def shards(index: Path) -> dict[str, str]:
    """{tensor: the name of its file, beside `index`}. UserError where the index is damaged or names a file elsewhere."""
    try:
        found = json.loads(index.read_bytes())["weight_map"]
        pairs = {name: os.fspath(file) for name, file in found.items()}  # TypeError for what is no text
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise damaged(index, error) from error
    for file in set(pairs.values()):
        if Path(file).name != file or file in ("", "..") or "\\" in file or "\0" in file:
            raise UserError(f"{index} names {file!r}, expected the name of a file in its folder", DAMAGED)
    return pairs


def _indexed(index: Path) -> dict[str, Tensor]:
    pairs = shards(index)
    parts = sorted({index.parent / file for file in pairs.values()})
    for file in parts:
        if not file.is_file():
            raise UserError(f"cannot read {file}: {index.name} names it, and there is no such file", DAMAGED)
    found = _joined(parts)
    for name, file in pairs.items():
        if name not in found or found[name].file.name != file:
            raise UserError(f"{index} has tensor {name} in {file}, which it is not in", DAMAGED)
    return found


def _joined(parts: Iterable[Path]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for tensor in (tensor for file in parts for tensor in _open(file)):
        if tensor.name in found:
            raise UserError(f"tensor {tensor.name} is in {found[tensor.name].file} and in {tensor.file}", DAMAGED)
        found[tensor.name] = tensor
    return found


def _open(file: Path) -> Iterator[Tensor]:
    """By its suffix, as `transformers` tells them apart."""
    return _open_safetensors(file) if file.suffix == ".safetensors" else _open_torch(file)


def _open_torch(file: Path) -> Iterator[Tensor]:
    for name, view, part in torch_file.tensors(file):
        yield Tensor(file, name, view.shape, view.dtype, part)


def _open_safetensors(file: Path) -> Iterator[Tensor]:
    with _opened(file) as handle:
        for name in handle.keys():
            found = handle.get_slice(name)
            stored = str(found.get_dtype())
            yield Tensor(file, name, tuple(found.get_shape()), DTYPES.get(stored, stored), _reading(file, name))


def _reading(file: Path, name: str) -> Callable[[tuple[slice, ...]], np.ndarray]:
    """Opens the file for every part: what was read of a mapped file counts as memory of the process until it is closed."""

    def read(index: tuple[slice, ...]) -> np.ndarray:
        with _opened(file) as handle:
            return handle.get_slice(name)[index] if index else handle.get_tensor(name)

    return read


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        with safe_open(file, framework="numpy") as handle:
            yield handle
    except (SafetensorError, OSError) as error:
        raise damaged(file, error) from error
