"""The array of a prompt in its file, opened and not yet read: what it is can be listed without reading it.

Nothing here can run code: NumPy files that hold pickled objects are refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ptune_cli.errors import UserError
from ptune_cli.formats.strict import DAMAGED, check_float, damaged, finite

NUMPY_MAGIC = b"\x93NUMPY"
KINDS = {"BF": "bfloat", "F": "float", "I": "int", "U": "uint", "BOOL": "bool"}  # safetensors' names, before the size: NumPy's


@dataclass(frozen=True)
class Stored:
    """A prompt's array as it lies on the disk: `dtype` is NumPy's name of what it is stored as, `notes` are for people."""

    file: Path
    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], np.ndarray]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "npy"
    notes: tuple[str, ...] = ()

    def checked(self) -> "Stored":
        """Itself. UserError unless it is floating-point numbers [P, D]."""
        if len(self.shape) != 2 or 0 in self.shape:
            raise UserError(f"prompt {self.file} has shape {self.shape}, expected [length, width]")
        check_float("prompt", self.dtype, str(self.file))
        return self

    def read(self) -> np.ndarray:
        """The array, float32 [P, D]. UserError for what is no such array, is damaged or not finite."""
        return finite("prompt", self.checked().load(), np.dtype(np.float32), str(self.file))

    def first(self, rows: int) -> "Stored":
        """Of its rows, the first ones."""
        return replace(self, shape=(rows, *self.shape[1:]), load=lambda: self.load()[:rows])


def is_numpy(file: Path) -> bool:
    """Whether it begins as a NumPy file does, whatever its name. UserError where it cannot be read."""
    try:
        with open(file, "rb") as opened:
            return opened.read(len(NUMPY_MAGIC)) == NUMPY_MAGIC
    except OSError as error:
        raise damaged(f"prompt {file}", error) from error


def open_numpy(file: Path) -> Stored:
    """The array of a NumPy file. UserError for a damaged one."""
    # A memory map is no larger than the file, whatever size the header claims.
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
        end = array.offset + array.nbytes
    except Exception as error:  # NumPy evaluates the header as a Python literal, with as many ways to fail
        raise damaged(f"prompt {file}", error) from error
    if end != file.stat().st_size:
        raise UserError(f"prompt {file} is longer than its header says", DAMAGED)
    return Stored(file, tuple(array.shape), array.dtype.name, lambda: np.array(array))


def open_safetensors(file: Path, name: str, hint: str) -> tuple[Stored, dict[str, str], list[str]]:
    """The array of this name, the header's metadata, the names of other arrays. UserError, with `hint`, where there is none."""
    try:
        with safe_open(file, framework="numpy") as opened:
            metadata, names = opened.metadata() or {}, list(opened.keys())
            found = opened.get_slice(name) if name in names else None
            shape, dtype = (tuple(found.get_shape()), str(found.get_dtype())) if found else ((), "")
    except (SafetensorError, OSError, TypeError, AttributeError) as error:
        raise damaged(f"prompt {file} as a safetensors or NumPy file", error) from error
    if not dtype:
        raise UserError(f"{file} has no array {name!r} (have: {', '.join(sorted(names)[:5])})", hint)
    return (
        Stored(file, shape, _numpy_name(dtype), lambda: _tensor(file, name)),
        metadata,
        [other for other in names if other != name],
    )


def _numpy_name(dtype: str) -> str:
    kind = dtype.rstrip("0123456789")
    return KINDS.get(kind, kind) + dtype.removeprefix(kind)


def _tensor(file: Path, name: str) -> np.ndarray:
    try:
        with safe_open(file, framework="numpy") as opened:
            return opened.get_tensor(name)
    except (SafetensorError, OSError, TypeError, AttributeError) as error:
        raise damaged(f"prompt {file}", error) from error
