"""Writes a safetensors file whose tensors are known by name and shape beforehand: values come in any order, a block at a time.

The layout: the length of the header as eight bytes, the header in JSON, then the tensors one after the other.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np

from ptune_cli.formats.strict import FLOATS, Shapes

NAMES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64"}  # NumPy's: safetensors'
ALIGNMENT = 8  # of the first tensor: no dtype is wider

Write = Callable[[str, int, np.ndarray], None]


@contextmanager
def writing(path: Path, shapes: Shapes, dtype: str) -> Iterator[Write]:
    """Makes the file at `path`, of tensors {name: shape}, all of `dtype`; it is on disk when the body ends.

    Yields `write(name, row, rows)`, which puts `rows` into a tensor from that row on. Several threads may call it. Values that
    are never written are zeros. Raises OSError where the disk is full or may not be written.
    """
    header, starts = _header(shapes, dtype)
    with open(path, "wb", buffering=0) as file:
        _write_all(file.fileno(), memoryview(header), 0)
        os.truncate(file.fileno(), len(header) + sum(byte_count(shape, dtype) for shape in shapes.values()))

        def write(name: str, row: int, rows: np.ndarray) -> None:
            at = len(header) + starts[name] + row * byte_count(shapes[name][1:], dtype)
            data = np.ascontiguousarray(rows, FLOATS[dtype]).reshape(-1).view(np.uint8)  # bytes: bfloat16 has no buffer
            _write_all(file.fileno(), data.data, at)

        yield write
        os.fsync(file.fileno())


def byte_count(shape: tuple[int, ...], dtype: str) -> int:
    """What an array of this shape takes."""
    return prod(shape) * FLOATS[dtype].itemsize


def _header(shapes: Shapes, dtype: str) -> tuple[bytes, dict[str, int]]:
    """The bytes before the first tensor, and where after them each tensor starts."""
    tensors, starts, end = {}, {}, 0
    for name, shape in shapes.items():
        starts[name], end = end, end + byte_count(shape, dtype)
        tensors[name] = {"dtype": NAMES[dtype], "shape": list(shape), "data_offsets": [starts[name], end]}
    text = json.dumps({"__metadata__": {"format": "pt"}, **tensors}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text, starts


def _write_all(file: int, data: memoryview, at: int) -> None:
    while data:  # a call may write less than it is given
        written = os.pwrite(file, data, at)
        data, at = data[written:], at + written
