"""Writes checkpoints that T5X reads, parameter by parameter as a reader gives them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ptune_cli.errors import UserError
from ptune_cli.formats.strict import Put, Shapes, float_dtype, reason
from ptune_cli.formats.t5x_containers import Array, Msgpack, Orbax, open_array
from ptune_cli.formats.t5x_places import Place, flat_places, scanned_places
from ptune_cli.t5.config import T5Config, parameter_shapes

LAYOUTS = {  # container, and where in its tree parameters go
    "legacy": (Msgpack, flat_places),
    "legacy_scanned": (Msgpack, scanned_places),
    "orbax": (Orbax, flat_places),
    "orbax_scanned": (Orbax, scanned_places),
}
PROMPT = "target/encoder/prompt/prompt/prompt"  # where the original code of prompt tuning has it
CHUNK_BYTES = 2**24  # at most: while one is written or read it is in memory as numbers, compressed, and in between
UNWRITTEN_BYTES = 2**24  # of small parameters, together one commit to the database; a larger one is written at once


@contextmanager
def writing(
    folder: str | Path, config: T5Config, dtype: str, layout: str, prompt: np.ndarray | None = None, step: int = 0
) -> Iterator[Put]:
    """A `put` that writes each parameter, in `dtype`, into `folder`, a T5X checkpoint's `checkpoint_N` folder.

    `layout` is one of `LAYOUTS`: in T5X's own container or Orbax's, a tree such as t5x.examples.t5 and flaxformer have, or,
    "scanned", such as t5x.examples.scalable_t5 has: layers stacked, heads split, the position bias in every layer. `prompt`
    [P, D] goes in as float32. There is no optimizer state: T5X evaluates from such a checkpoint as it is, and trains from it
    with `fallback_to_scratch`.

    `put` may be called by several threads. The folder is a checkpoint once the body has ended well. Raises UserError where it
    cannot be written, and ValueError unless every parameter came exactly once, of its shape and in `dtype`.
    """
    container, places = LAYOUTS[layout]
    folder = Path(folder).expanduser().absolute()
    with _told(folder):
        writer = _Writer(folder, container(folder), places(config), parameter_shapes(config), float_dtype(dtype))
        if prompt is not None:
            writer.add_prompt(np.asarray(prompt, np.float32))
    yield writer.put
    writer.check_complete()
    with _told(folder):
        writer.commit(step)


class _Writer:
    """The arrays of a checkpoint being written, which parameters came, and those not yet on the disk."""

    def __init__(self, folder: Path, container: Msgpack | Orbax, places: Mapping[str, Place], shapes: Shapes, dtype: np.dtype):
        self._folder, self._container, self._places, self._shapes, self._dtype = folder, container, places, shapes, dtype
        found = {place.array: place for place in places.values()}
        self._arrays = [Array(f"target/{name}", p.shape, dtype, chunk_shape(p, dtype.itemsize)) for name, p in found.items()]
        opening = {array.name: open_array(container, array) for array in self._arrays}  # all at once, then waited for
        self._stores = {name: future.result() for name, future in opening.items()}
        self._lock, self._came, self._unwritten, self._bytes = Lock(), Counter[str](), [], 0

    def add_prompt(self, prompt: np.ndarray) -> None:
        array = Array(PROMPT, prompt.shape, prompt.dtype, prompt.shape)
        open_array(self._container, array).result().write(prompt).result()
        self._arrays.append(array)

    def put(self, name: str, shape: tuple[int, ...], read: Callable[[tuple[slice, ...]], np.ndarray]) -> None:
        place = self._places[name]
        store = self._stores[f"target/{place.array}"]
        if place.layers is None and prod(shape) * self._dtype.itemsize > UNWRITTEN_BYTES:
            return self._put_by_chunks(name, shape, read, store)
        values = place.shaped(self._checked(name, shape, read(())))
        # Not copied: no reader changes an array that it gave.
        writes = [store[index].write(values, can_reference_source_data_indefinitely=True) for index in place.indices]
        with _told(self._folder):
            wait_for(self._due(name, writes, values.nbytes * len(writes)))

    def _put_by_chunks(self, name: str, shape: tuple[int, ...], read: Callable, store: Any) -> None:
        """One chunk of a large parameter after another, so that no more is in memory."""
        for index in regions(shape, store.chunk_layout.write_chunk.shape):
            values = self._checked(name, shape, read(index))
            with _told(self._folder):
                store[index].write(values, can_reference_source_data_indefinitely=True).result()
        self._due(name, [], 0)

    def _checked(self, name: str, shape: tuple[int, ...], values: np.ndarray) -> np.ndarray:
        if tuple(shape) != self._shapes[name] or values.dtype != self._dtype:
            raise ValueError(f"{name} is {values.dtype} {shape}, expected {self._dtype} {self._shapes[name]}")
        return values

    def _due(self, name: str, writes: list[Any], size: int) -> list[Any]:
        """Notes that a parameter came; the writes to wait for, if too many are under way."""
        with self._lock:
            self._came[name] += 1
            self._unwritten, self._bytes = self._unwritten + writes, self._bytes + size
            if self._bytes < UNWRITTEN_BYTES:
                return []
            due, self._unwritten, self._bytes = self._unwritten, [], 0
            return due

    def check_complete(self) -> None:
        wrong = {name: self._came[name] for name in self._shapes if self._came[name] != 1}
        if wrong:
            raise ValueError(f"parameters came not once, but so often: {wrong}")

    def commit(self, step: int) -> None:
        wait_for(self._unwritten)
        self._container.commit(self._arrays, step)


def wait_for(writes: list[Any]) -> None:
    """Waits for TensorStore's writes, begun all at once: those into one database are one commit."""
    for write in writes:
        write.commit.force()
    for write in writes:
        write.result()


def regions(shape: tuple[int, ...], chunk: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """The indices of an array's chunks, in order."""
    cuts = [[slice(start, min(start + step, n)) for start in range(0, n, step)] for n, step in zip(shape, chunk, strict=True)]
    return product(*cuts)


def chunk_shape(place: Place, itemsize: int) -> tuple[int, ...]:
    """The shape of the chunks of a stored array: of `CHUNK_BYTES` at most, none with parts of two layers, all of one size.

    Whole where there is a layer's worth of little, else divided along the longest axis until small enough.
    """
    chunk = list(place.shape)
    if place.layers is not None:
        chunk[1] = 1  # a layer is written as it comes: no chunk is read back to add another layer
    while prod(chunk) * itemsize > CHUNK_BYTES:
        axis = chunk.index(max(chunk))
        chunk[axis] //= _smallest_divisor(chunk[axis])
    return tuple(chunk)


def _smallest_divisor(n: int) -> int:
    return next((d for d in range(2, int(n**0.5) + 1) if n % d == 0), n)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Raises what the file system or TensorStore could not write as a UserError."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:  # TensorStore raises any of them
        message = f"cannot write {folder}: {reason(error)}"
        raise UserError(message, "check the disk's free space and your rights") from error
