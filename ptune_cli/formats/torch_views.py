"""What the names in the pickle of a PyTorch state dict stand for: kinds of storages, and tensors as views of them."""

import math
from dataclasses import dataclass
from typing import Any

STORAGES = {  # torch's name of a kind of storage: NumPy's of its numbers
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
DICT, TENSOR, PARAMETER = "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
NAMES = {DICT, TENSOR, PARAMETER, *(f"torch {name}" for name in STORAGES)}
MOST_AXES = 8  # a model's weights have one or two


class Forbidden(Exception):
    """The pickle asks for `name`, which no state dict needs."""

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Global:
    """A name that the pickle asked for, one of `NAMES`; it stands for itself and is never looked up."""

    name: str


@dataclass(frozen=True)
class View:
    """A tensor: where its numbers are among those of a storage, in numbers, not bytes."""

    dtype: str
    key: str  # of the storage, which is the member data/KEY of the file
    stored: int  # numbers in the storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def named(name: str) -> Global:
    """A name that a pickle asks for. Raises Forbidden beyond those of state dicts."""
    if name not in NAMES:
        raise Forbidden(name.replace(" ", "."))
    return Global(name)


def storage(identity: Any) -> tuple[str, str, int]:
    """NumPy's name of its numbers, its key and their count. Raises ValueError or TypeError for what is no storage."""
    kind, name, key, _, stored = identity
    if kind != "storage" or not isinstance(name, Global) or not isinstance(key, str) or not _is_count(stored):
        raise ValueError("names a storage in an unknown way")
    return STORAGES[name.name.removeprefix("torch ")], key, stored


def made(function: Global, arguments: tuple) -> Any:
    """What a name makes of arguments. Raises ValueError or TypeError where that is not what a state dict has."""
    if function.name == DICT and not arguments:
        return {}
    if function.name == PARAMETER:
        return arguments[0]
    if function.name != TENSOR:
        raise ValueError(f"calls {function.name}")
    (dtype, key, stored), offset, shape, strides, *_ = arguments
    if not len(shape) == len(strides) <= MOST_AXES or not all(_is_count(number) for number in (offset, *shape, *strides)):
        raise ValueError("has a tensor of impossible shape")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) > stored or (0 not in shape and last >= stored):
        raise ValueError("has a tensor beyond its storage")
    return View(dtype, key, stored, offset, tuple(shape), tuple(strides))


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**63
