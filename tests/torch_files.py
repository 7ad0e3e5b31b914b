"""Files as torch.save writes them, made without torch: the pickle is put together by hand, so it can be a bad one."""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

KINDS = {"float32": "FloatStorage", "float16": "HalfStorage", "bfloat16": "BFloat16Storage", "float64": "DoubleStorage"}
REBUILD, ORDERED = b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def numbers(values) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key: str, kind: str, stored: int) -> bytes:
    return b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(stored) + b"tQ"


def tensor(key: str, kind: str, stored: int, offset: int, shape, strides) -> bytes:
    """The operations that leave a tensor on the stack."""
    place = number(offset) + numbers(shape) + numbers(strides)
    return REBUILD + b"(" + storage(key, kind, stored) + place + b"\x89" + ORDERED + b")RtR"


def dictionary(values: Mapping[str, bytes]) -> bytes:
    """The pickle of a dict of what the operations in `values` leave on the stack."""
    return b"\x80\x02}(" + b"".join(text(name) + value for name, value in values.items()) + b"u."


def pickled(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The pickle of a state dict whose arrays lie in storages of their own, "0", "1", ..., row by row."""
    made = {}
    for key, (name, array) in enumerate(arrays.items()):
        strides = [step // array.itemsize for step in np.ascontiguousarray(array).strides]
        made[name] = tensor(str(key), KINDS[array.dtype.name], array.size, 0, array.shape, strides)
    return dictionary(made)


def write(
    file: Path, arrays: Mapping[str, np.ndarray], pickle: bytes | None = None, compression: int = zipfile.ZIP_STORED
) -> None:
    """A file of the state dict, with another pickle if one is given."""
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled(arrays) if pickle is None else pickle)
        archive.writestr("archive/byteorder", b"little")
        for key, array in enumerate(arrays.values()):
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", b"3\n")
