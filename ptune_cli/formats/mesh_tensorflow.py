"""Reads T5 checkpoints of Mesh TensorFlow, in which Google first released T5: TensorFlow's files `model.ckpt-N.*`.

TensorFlow itself reads them, and is imported only then.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ptune_cli.errors import UserError
from ptune_cli.formats.mesh_tensorflow_names import t5x_name, t5x_names
from ptune_cli.formats.strict import Put, Shapes, check_float, check_shapes, damaged, finite, float_dtype, whole
from ptune_cli.t5.config import T5Config, parameter_shapes

INDEX = ".index"
STEP = re.compile(r"model\.ckpt-(\d+)\.index")
STATE = "checkpoint"  # TensorFlow's text file that names the newest step
OF_TRAINING = re.compile(r"global_step|.*_slot_\w+")  # what a trainer saves beside the parameters


def is_mesh_tensorflow(path: str | Path) -> bool:
    """Whether `path` is a TensorFlow checkpoint (`folder/model.ckpt-N`), or a folder of them.

    To be asked before `t5x.is_t5x`, which takes any folder with a file `checkpoint` for T5X's.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        return path.with_name(path.name + INDEX).is_file()
    state = path / STATE
    return bool(_steps(path)) or (state.is_file() and _begins(state, b"model_checkpoint_path"))


def read(path: str | Path, config: T5Config, dtype: str = "float32", put: Put = whole) -> dict[str, Any]:
    """The parameters {T5X name: what `put` makes of it, in `dtype`} at `path`, of a folder's newest step, one by one.

    Optimizer state is passed over. Raises UserError unless the arrays are exactly those of
    `t5.config.parameter_shapes(config)`, for damaged files, and where TensorFlow is not installed.
    """
    prefix, target = find_prefix(path), float_dtype(dtype)
    tensorflow = _tensorflow()
    with _told(prefix, tensorflow):
        reader = tensorflow.train.load_checkpoint(prefix)
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    stored = _parameters({name: tuple(shape) for name, shape in shapes.items()}, config, prefix)
    for name in stored.values():
        check_float(name, dtypes[name].name, prefix)

    def reading(name: str) -> Callable[[tuple[slice, ...]], np.ndarray]:
        @cache  # `put` may ask for many parts, and TensorFlow reads the whole
        def values() -> np.ndarray:
            with _told(prefix, tensorflow):
                return reader.get_tensor(name)

        return lambda index: finite(name, values()[index], target, prefix)

    return {own: put(own, tuple(shapes[name]), reading(name)) for own, name in stored.items()}


def stored_arrays(path: str | Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """The parameters {T5X name: (shape, dtype)} at `path`, without reading any value; what is no parameter has its own name.

    Raises UserError as `read` does.
    """
    prefix, tensorflow = find_prefix(path), _tensorflow()
    with _told(prefix, tensorflow):
        reader = tensorflow.train.load_checkpoint(prefix)
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    names = sorted(name for name in shapes if not OF_TRAINING.fullmatch(name))
    return {t5x_name(name): (tuple(shapes[name]), dtypes[name].name) for name in names}


def find_prefix(path: str | Path) -> str:
    """The checkpoint at `path`, without its files' suffixes: itself, or the newest step in a folder.

    Raises UserError where there is none.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        if not (steps := _steps(path)):
            raise UserError(f"no model.ckpt-*{INDEX} in {path}", "copy all files of the checkpoint, model.ckpt-N.*")
        return str(path / f"model.ckpt-{max(steps)}")
    if not path.with_name(path.name + INDEX).is_file():
        raise UserError(f"no TensorFlow checkpoint at {path}", "give folder/model.ckpt-N, or the folder that holds it")
    return str(path)


def _steps(folder: Path) -> list[int]:
    return [int(match[1]) for file in folder.iterdir() if (match := STEP.fullmatch(file.name))]


def _begins(file: Path, start: bytes) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(start)) == start


def _parameters(shapes: Shapes, config: T5Config, prefix: str) -> dict[str, str]:
    """{T5X's name: Mesh TensorFlow's} of the parameters, after checking that they are this model's."""
    names, stored = t5x_names(config), {}
    for name in sorted(name for name in shapes if not OF_TRAINING.fullmatch(name)):
        own = names.get(name, name)
        if own in stored:
            raise UserError(f"{prefix} holds {own} twice, as {stored[own]} and {name}", "remove one of them")
        stored[own] = name
    check_shapes({own: shapes[name] for own, name in stored.items()}, parameter_shapes(config), prefix)
    return stored


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # what it logs as it starts is of processors, not of checkpoints
    try:
        import tensorflow
    except ImportError as error:
        message = "TensorFlow is not installed, and only it reads Mesh TensorFlow's checkpoints"
        raise UserError(message, "pip install 'ptune[tasks]'") from error
    return tensorflow


@contextmanager
def _told(prefix: str, tensorflow: Any) -> Iterator[None]:
    """Raises what TensorFlow cannot read as a UserError: a file that ends too early is an IndexError to it."""
    try:
        yield
    except (tensorflow.errors.OpError, ValueError, LookupError, OSError, RuntimeError) as error:
        raise damaged(prefix, error) from error
