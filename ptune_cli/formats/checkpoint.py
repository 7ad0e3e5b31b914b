"""Which reader belongs to a path: the one place that knows every format a model may come in.

Readers are imported when they are needed: T5X's brings JAX, by way of flax, which takes as long as a small conversion.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptune_cli.errors import UserError
from ptune_cli.formats import huggingface, huggingface_writing, mesh_tensorflow
from ptune_cli.formats.mesh_tensorflow_names import NORMS, mesh_name
from ptune_cli.formats.model_formats import Places
from ptune_cli.formats.strict import FLOATS, Put, Shapes, whole
from ptune_cli.t5.config import T5Config, parameter_shapes

Read = Callable[[str, T5Config, str, Put, bool], dict[str, Any]]


@dataclass(frozen=True)
class Reader:
    """One format, by functions of a checkpoint's path."""

    name: str
    belongs: Callable[[str], bool]
    folder: Callable[[str], str]  # where the files lie: of T5X, the newest step
    sizes: Callable[[str], T5Config | None]  # None: the checkpoint does not say
    shapes: Callable[[str], Shapes]  # {T5X name: shape}, without reading any value
    dtypes: Callable[[str], set[str]]  # of the parameters as they are stored
    read: Read
    places: Places


def reader(path: str) -> Reader:
    """The reader of the checkpoint at a path, which may also be gs://; of a path without any, the last, which says so."""
    return next((reader for reader in READERS[:-1] if reader.belongs(path)), READERS[-1])


def sizes(path: str, given: T5Config | None = None) -> T5Config:
    """The architecture that the checkpoint at `path` states, or else the one that is given. UserError where there is neither."""
    found = reader(path).sizes(path) or given
    if found is None:
        raise UserError(f"{path} is not a Hugging Face folder, and no T5 sizes were given", "include a gin/models file")
    return found


def read(path: str, config: T5Config, dtype: str, put: Put = whole, in_turn: bool = False) -> dict[str, Any]:
    """The parameters {T5X name: what `put` makes of it, in `dtype`}. UserError unless they are those of `config`, and intact.

    `in_turn`: one parameter after another, for a `put` that asks for a parameter in parts so as to hold little of it.
    """
    return reader(path).read(path, config, dtype, put, in_turn)


def stored_dtype(path: str) -> str:
    """The type that holds all parameters of a checkpoint as they are stored: the only one of them, or one wide enough.

    What is no type of parameters is for `read` to refuse, which names the array.
    """
    found = reader(path).dtypes(path) & FLOATS.keys()
    if len(found) == 1:
        return found.pop()
    return "float64" if "float64" in found else "float32"


def _huggingface_sizes(path: str) -> T5Config:
    return huggingface.read_config(Path(path) / huggingface.CONFIG)


def _read_huggingface(path: str, config: T5Config, dtype: str, put: Put, in_turn: bool) -> dict[str, Any]:
    return huggingface.read(path, dtype, put)[1]


def _t5x_folder(path: str) -> str:
    from ptune_cli.formats import t5x

    return t5x.find_step(path)


def _t5x_stored(path: str) -> Mapping[str, tuple[tuple[int, ...], str]]:
    from ptune_cli.formats import t5x

    return t5x.stored_arrays(path)


def _read_t5x(path: str, config: T5Config, dtype: str, put: Put, in_turn: bool) -> dict[str, Any]:
    from ptune_cli.formats import t5x

    return t5x.read(path, config, dtype, put, in_turn)


def _read_mesh(path: str, config: T5Config, dtype: str, put: Put, in_turn: bool) -> dict[str, Any]:
    return mesh_tensorflow.read(path, config, dtype, put)


def _mesh_places(config: T5Config) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: (mesh_name(name, NORMS[0]), shape) for name, shape in parameter_shapes(config).items()}


READERS = (
    Reader(
        name="Hugging Face",
        belongs=huggingface.is_huggingface,
        folder=str,
        sizes=_huggingface_sizes,
        shapes=lambda path: parameter_shapes(_huggingface_sizes(path)),
        dtypes=huggingface.stored_dtypes,
        read=_read_huggingface,
        places=huggingface_writing.tensors,
    ),
    Reader(
        name="Mesh TensorFlow",
        belongs=lambda path: "://" not in path and mesh_tensorflow.is_mesh_tensorflow(path),
        folder=mesh_tensorflow.find_prefix,
        sizes=lambda path: None,
        shapes=lambda path: {name: shape for name, (shape, _) in mesh_tensorflow.stored_arrays(path).items()},
        dtypes=lambda path: {dtype for _, dtype in mesh_tensorflow.stored_arrays(path).values()},
        read=_read_mesh,
        places=_mesh_places,
    ),
    Reader(
        name="T5X",
        belongs=lambda path: True,
        folder=_t5x_folder,
        sizes=lambda path: None,
        shapes=lambda path: {name: shape for name, (shape, _) in _t5x_stored(path).items()},
        dtypes=lambda path: {dtype for _, dtype in _t5x_stored(path).values()},
        read=_read_t5x,
        places=lambda config: {name: (name, shape) for name, shape in parameter_shapes(config).items()},
    ),
)
