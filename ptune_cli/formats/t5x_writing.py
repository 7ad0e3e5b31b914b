"""Writes checkpoints that T5X reads, parameter by parameter as a reader gives them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from threading import Lock

import numpy as np

from ptune_cli.errors import UserError
from ptune_cli.formats.strict import Put, Shapes, float_dtype, reason
from ptune_cli.formats.t5x_containers import Array, Msgpack, Orbax, open_array
from ptune_cli.formats.t5x_places import Index, Place, flat_places, scanned_places
from ptune_cli.t5.config import T5Config, parameter_shapes

LAYOUTS = {  # container, and where in its tree parameters go
    "legacy": (Msgpack, flat_places),
    "legacy_scanned": (Msgpack, scanned_places),
    "orbax": (Orbax, flat_places),
    "orbax_scanned": (Orbax, scanned_places),
}
PROMPT = "target/encoder/prompt/prompt/prompt"  # where the original code of prompt tuning has it
CHUNK_BYTES = 2**24  # at most: while one is written or read it is in memory as numbers, compressed, and in between


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
    """The arrays of a checkpoint being written, and which parameters came."""

    def __init__(self, folder: Path, container: Msgpack | Orbax, places: Mapping[str, Place], shapes: Shapes, dtype: np.dtype):
        self._folder, self._container, self._places, self._shapes, self._dtype = folder, container, places, shapes, dtype
        found = {place.array: place for place in places.values()}
        self._chunks = {name: chunk_shape(place, dtype.itemsize) for name, place in found.items()}
        self._arrays = [Array(f"target/{name}", place.shape, dtype, self._chunks[name]) for name, place in found.items()]
        opening = {name: open_array(container, array) for name, array in zip(found, self._arrays, strict=True)}  # all at once
        self._stores = {name: future.result() for name, future in opening.items()}
        self._lock, self._came = Lock(), Counter[str]()

    def add_prompt(self, prompt: np.ndarray) -> None:
        array = Array(PROMPT, prompt.shape, prompt.dtype, prompt.shape)
        open_array(self._container, array).result().write(prompt).result()
        self._arrays.append(array)

    def put(self, name: str, shape: tuple[int, ...], read: Callable[[tuple[slice, ...]], np.ndarray]) -> None:
        place = self._places[name]
        if tuple(shape) != self._shapes[name]:
            raise ValueError(f"{name} is {shape}, expected {self._shapes[name]}")
        parts = place.chunks(self._chunks[place.array])
        if place.layers is None:  # no more than a chunk of it is in memory
            self._write(name, ((index, read(part)) for index, part in parts))
        else:
            values = read(()).reshape(place.part_shape)
            self._write(name, ((index, values[part]) for index, part in parts))
        with self._lock:
            self._came[name] += 1

    def _write(self, name: str, chunks: Iterable[tuple[Index, np.ndarray]]) -> None:
        """One chunk after another: TensorStore copies what it writes."""
        store = self._stores[self._places[name].array]
        for index, values in chunks:
            if values.dtype != self._dtype:
                raise ValueError(f"{name} is {values.dtype}, expected {self._dtype}")
            with _told(self._folder):
                # Once, not twice: no reader changes an array that it gave.
                store[index].write(values, can_reference_source_data_indefinitely=True).result()

    def check_complete(self) -> None:
        wrong = {name: self._came[name] for name in self._shapes if self._came[name] != 1}
        if wrong:
            raise ValueError(f"parameters came not once, but so often: {wrong}")

    def commit(self, step: int) -> None:
        self._container.commit(self._arrays, step)


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
