"""What every reader of arrays checks: names and shapes are the model's, numbers are numbers; and how it says a file is bad.

A reader gives each array to a function `put(name, shape, read)`, which asks for the parts that it wants: `read(index)`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from ptune_cli.errors import UserError, nearest

Shapes = Mapping[str, tuple[int, ...]]
Put = Callable[[str, tuple[int, ...], Callable[[tuple[slice, ...]], np.ndarray]], Any]

FLOATS = {  # the types that parameters may be stored in and read as
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}
LEGACY_BFLOAT16 = "early T5X wrote bfloat16 so: restore and save the checkpoint with a later T5X"
DAMAGED = "the file is damaged or its copy is incomplete: copy it again"
LONGEST_REASON = 400  # characters
SHOWN = 5  # arrays named in one message: a wrong size mis-shapes hundreds


def whole(name: str, shape: tuple[int, ...], read: Callable[[tuple[slice, ...]], np.ndarray]) -> np.ndarray:
    """All of an array, contiguous: the `put` of who wants it in memory."""
    return np.ascontiguousarray(read(()))


def damaged(what: object, error: Exception) -> UserError:
    """The UserError for a file that a library could not read: one line, whatever the library had to say."""
    return UserError(f"cannot read {what}: {reason(error)}", DAMAGED)


def reason(error: Exception) -> str:
    """What a library had to say, in one line that is not too long."""
    said = " ".join(str(error).partition(" [tensorstore_spec=")[0].split())
    if len(said) > LONGEST_REASON:
        said = f"...{said[-LONGEST_REASON:]}"  # the end: libraries work down to the file and its fault
    return said or type(error).__name__


def float_dtype(name: str) -> np.dtype:
    """NumPy's dtype of one of `FLOATS`. Raises UserError for another name."""
    if name not in FLOATS:
        raise UserError(f"parameters cannot be {name!r}", nearest(str(name), FLOATS))
    return FLOATS[name]


def check_shapes(found: Shapes, expected: Shapes, path: str) -> None:
    """Raises one UserError that names every missing, unexpected and mis-shaped array (the first few of each kind)."""
    shared = sorted(found.keys() & expected.keys())
    wrong = [f"{n} {tuple(found[n])}, expected {tuple(expected[n])}" for n in shared if tuple(found[n]) != tuple(expected[n])]
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape": wrong,
    }
    if any(faults.values()):
        parts = [f"{len(names)} {kind}: {_first(names)}" for kind, names in faults.items() if names]
        raise UserError(f"the arrays of {path} are not this model's ({'; '.join(parts)})", "choose the model of this checkpoint")


def check_float(name: str, dtype: str, path: str) -> None:
    """Raises UserError unless an array is stored as one of `FLOATS`."""
    if dtype not in FLOATS:
        message = f"array {name} of {path} is stored as {dtype}, expected a floating-point type (have: {', '.join(FLOATS)})"
        raise UserError(message, LEGACY_BFLOAT16 if dtype == "uint16" else "convert it first")


def finite(name: str, array: np.ndarray, dtype: np.dtype, path: str) -> np.ndarray:
    """The array as `dtype`, contiguous. UserError for infinity or NaN: a damaged file, or one from a run that diverged."""
    with np.errstate(over="ignore"):  # a number too large for `dtype` becomes infinite, and is told of below
        array = np.ascontiguousarray(array, dtype)
    if not np.isfinite(array).all():
        message = f"array {name} of {path} holds infinite values or NaN as {dtype.name}"
        raise UserError(message, "the file is damaged or its training diverged: copy it again or take an earlier step")
    return array


def _first(names: list[str]) -> str:
    shown = [name if name.isprintable() else ascii(name) for name in names[:SHOWN]]
    return ", ".join(shown) + (f", and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
