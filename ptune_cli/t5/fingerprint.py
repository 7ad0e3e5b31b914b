"""Which weights these are, whatever file they come from and however they are split over devices. NumPy alone."""

import hashlib
import json
from collections.abc import Callable, Mapping

import ml_dtypes
import numpy as np

Index = tuple[slice, ...]


def fingerprint(flat: Mapping[str, np.ndarray]) -> str:
    """A sha256 that says which weights a prompt belongs to: the same for every file format and for float32 and bfloat16.

    It covers names, shapes and up to 8,191 values of each array, rounded to bfloat16 and evenly spread: reading all of
    XXL's 44 GB would take a minute, and two models that agree in all these do not differ.
    """
    samples = Samples()
    for name, array in flat.items():
        samples.add(name, np.shape(array), (), np.asarray(array))
    return samples.digest()


class Samples:
    """The values that a fingerprint covers, gathered as parts of arrays are read."""

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._values: dict[str, np.ndarray] = {}  # bfloat16's bits, 0 where no part was read yet

    def add(self, name: str, shape: tuple[int, ...], index: Index, part: np.ndarray) -> None:
        """The `part` that is at `index` of the array of this name and shape."""
        places = np.unravel_index(_positions(shape), shape)
        bounds = [at.indices(length)[:2] for at, length in zip(index or (slice(None),) * len(shape), shape, strict=True)]
        inside = np.all([(start <= place) & (place < stop) for place, (start, stop) in zip(places, bounds, strict=True)], axis=0)
        own = tuple(place[inside] - start for place, (start, _) in zip(places, bounds, strict=True))
        if name not in self._values:
            self._shapes[name], self._values[name] = shape, np.zeros(len(inside), np.uint16)
        self._values[name][inside] = part[own].astype(np.float32).astype(ml_dtypes.bfloat16).view(np.uint16)

    def digest(self, everyones: Callable[[np.ndarray], np.ndarray] = lambda values: values[None]) -> str:
        """The fingerprint. `everyones` gives [processes, N] for the [N] bits that each has, where they read different parts."""
        names = sorted(self._values)
        counts = [len(self._values[name]) for name in names]
        values = everyones(np.concatenate([self._values[name] for name in names])).max(axis=0)
        digest = hashlib.sha256()
        for name, own in zip(names, np.split(values, np.cumsum(counts)[:-1]), strict=True):
            digest.update(json.dumps([name, list(self._shapes[name])]).encode())
            digest.update(own.astype("<u2").tobytes())
        return digest.hexdigest()


def _positions(shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    return np.arange(0, size, max(size // 4096, 1))
