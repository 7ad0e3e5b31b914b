"""Reads the arrays of a T5X checkpoint: those in its tree's file, and Zarr arrays in folders or in an OCDBT database."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import tensorstore as ts

from ptune_cli.errors import UserError
from ptune_cli.formats.blocks import regions
from ptune_cli.formats.strict import DAMAGED, damaged
from ptune_cli.formats.t5x_tree import parse

ITEMS = ("", "state/", "default/")  # where in a step's folder the tree lies: T5X, T5X with Orbax, Orbax's own manager
CACHE_BYTES = 100_000_000
MOST_ELEMENTS = 2**40  # of one array
SMALL_CHUNK = 2**24  # elements, which a chunk may have in a smaller array
TREES = ("_METADATA", "checkpoint")  # the first Orbax wrote both, the second then being of no more use


@dataclass(frozen=True)
class Stored:
    """One array of the checkpoint in `path`: `source` is a TensorStore, or the array itself where the tree held it."""

    name: str
    path: str
    source: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.source.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype.numpy_dtype if isinstance(self.source, ts.TensorStore) else self.source.dtype

    @property
    def nbytes(self) -> int:
        """What its values take as they are stored, but for compression."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def chunks(self) -> Iterator[tuple[slice, ...]]:
        """The indices of the parts that it is stored in, small ones together."""
        stored = isinstance(self.source, ts.TensorStore)
        chunk = self.source.chunk_layout.read_chunk.shape if stored else self.shape
        return regions(self.shape, chunk, self.dtype.itemsize)

    def read(self, dtype: np.dtype, index: tuple[slice, ...] = ()) -> np.ndarray:
        """A part of the array, or all of it, converted to `dtype` unless it is in memory already. UserError if damaged.

        Conversion goes chunk by chunk: the array is never whole in two types at once.
        """
        if isinstance(self.source, ts.TensorStore):
            part = ts.cast(self.source, ts.dtype(dtype))[index]
            return result(part.read(), f"array {self.name} of {self.path}")
        return self.source[index]


class Checkpoint:
    """The checkpoint in one folder, `/local/folder` or `gs://bucket/folder`. `names` are those of its tree.

    Raises UserError, naming the file or array, for what is missing or damaged.
    """

    def __init__(self, path: str, cache_bytes: int = CACHE_BYTES):
        self.path = path
        # One context per checkpoint: its cache spares OCDBT reading its index again for every array.
        self._context = ts.Context({"cache_pool": {"total_bytes_limit": cache_bytes}})
        folder, file, data = self._find_tree()
        self._leaves, self._driver = parse(data, file)
        self._arrays = folder
        if self._file(folder, "manifest.ocdbt") is not None:
            self._arrays = {"driver": "ocdbt", "base": folder, "path": ""}

    @property
    def names(self) -> list[str]:
        return list(self._leaves)

    def open(self, names: Iterable[str]) -> list[Stored]:
        """The arrays of these names: shape and dtype known, values not yet read."""
        sources = [(name, self._open(name)) for name in names]  # opened all at once, then waited for
        return [Stored(name, self.path, self._opened(name, source)) for name, source in sources]

    def _find_tree(self) -> tuple[dict[str, Any], str, bytes]:
        for item in ITEMS:
            folder = kvstore(f"{self.path}/{item}")
            for name in TREES:
                data = self._file(folder, name)
                if data is not None:
                    return folder, f"{self.path}/{item}{name}", data
        raise UserError(f"{self.path} is not a T5X checkpoint (no `checkpoint` and no `_METADATA` in it)", DAMAGED)

    def _file(self, folder: dict[str, Any], name: str) -> bytes | None:
        store = result(ts.KvStore.open(folder, context=self._context), self.path)
        found = result(store.read(name), f"{name} of {self.path}")
        return found.value if found.state == "value" else None

    def _open(self, name: str) -> Any:
        leaf = self._leaves[name]
        if isinstance(leaf, np.ndarray):
            return leaf
        place = {**self._arrays, "path": f"{self._arrays['path']}{leaf}/"}
        # Chunks that were never copied would otherwise be read as zeros.
        spec = {"driver": self._driver, "kvstore": place, "fill_missing_data_reads": False}
        with _told(self._what(name)):
            return ts.open(spec, open=True, read=True, context=self._context)

    def _opened(self, name: str, source: Any) -> Any:
        array = source if isinstance(source, np.ndarray) else result(source, self._what(name))
        check_size(array, self._what(name))
        return array

    def _what(self, name: str) -> str:
        return f"array {name} of {self.path}"


def check_size(array: Any, what: str) -> None:
    """Raises UserError for a size that a file only claims: more than any model has, or chunks far larger than their array.

    TensorStore allocates a chunk before it reads one, and ends the process where there is no memory for it.
    """
    size = prod(array.shape)
    if size > MOST_ELEMENTS:
        raise damaged(what, ValueError(f"it claims to have the shape {[*array.shape]}"))
    layout = array.chunk_layout if isinstance(array, ts.TensorStore) else None
    for grid in (layout.read_chunk, layout.write_chunk) if layout else ():
        chunk = [part or 1 for part in grid.shape or ()]
        if prod(chunk) > max(size, SMALL_CHUNK):
            raise damaged(what, ValueError(f"it claims to have chunks {chunk} in the shape {[*array.shape]}"))


def kvstore(path: str) -> dict[str, Any]:
    """TensorStore's spec of a folder, `/local/folder` or `gs://bucket/folder`."""
    if path.startswith("gs://"):
        bucket, _, folder = path.removeprefix("gs://").partition("/")
        return {"driver": "gcs", "bucket": bucket, "path": folder}
    return {"driver": "file", "path": path}


def result(future: Any, what: str) -> Any:
    """What TensorStore's future gives; a UserError that names `what` if it cannot be read."""
    with _told(what):
        return future.result()


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:  # TensorStore raises any of them for a file it cannot read
        raise damaged(what, error) from error
