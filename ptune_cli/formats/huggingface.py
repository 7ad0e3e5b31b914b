"""Reads and writes a T5 as Hugging Face's `transformers` does: config.json and weights in one folder."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ptune_cli.errors import UserError
from ptune_cli.formats.atomic import replacing, write_atomically
from ptune_cli.formats.huggingface_config import config_json, read_config, stores_one_table
from ptune_cli.formats.huggingface_names import EMBEDDING, EMBEDDING_COPIES, LOGITS, UNUSED, huggingface_name, is_transposed
from ptune_cli.formats.huggingface_tensors import WEIGHTS, Tensor, open_tensors
from ptune_cli.formats.strict import Put, check_shapes, finite, float_dtype, whole
from ptune_cli.t5.config import T5Config, parameter_shapes

CONFIG = "config.json"


def is_huggingface(path: str | Path) -> bool:
    """Whether `path` is a folder with a config.json, as `save_pretrained` writes it."""
    return (Path(path).expanduser() / CONFIG).is_file()


def read(folder: str | Path, dtype: str = "float32", put: Put = whole) -> tuple[T5Config, dict[str, Any]]:
    """The sizes, and the parameters {T5X name: what `put` makes of it, in `dtype`}, of a T5 of any family, one by one.

    From safetensors files or, where there are none, from PyTorch's, whose pickle is not run.

    Raises UserError for another architecture, a damaged file, and unless the tensors are exactly those that config.json
    calls for.
    """
    folder = Path(folder).expanduser()
    config = read_config(folder / CONFIG)
    names = {huggingface_name(name): name for name in parameter_shapes(config)}
    with ExitStack() as stack:
        found = _without_copies(open_tensors(folder, stack), config, folder)
        check_shapes({name: t.shape for name, t in found.items()}, _shapes(config), str(folder))
        shapes = parameter_shapes(config)
        return config, {(own := names[name]): put(own, shapes[own], _reading(own, t, dtype)) for name, t in found.items()}


def write(folder: str | Path, config: T5Config, params: dict[str, np.ndarray]) -> None:
    """Writes `params` {T5X name: array}, all of one dtype, so that `T5ForConditionalGeneration.from_pretrained` reads them.

    Holds a second copy of the parameters meanwhile. Raises UserError where the folder cannot be written.
    """
    folder = Path(folder).expanduser()
    check_shapes({name: p.shape for name, p in params.items()}, parameter_shapes(config), "the model")
    settings = config_json(config, params["token_embedder/embedding"].dtype.name)
    # save_file writes the memory of an array as it lies: a transposed view would be written untransposed.
    tensors = {huggingface_name(name): np.ascontiguousarray(_turn(name, np.asarray(p))) for name, p in params.items()}
    with replacing(folder / WEIGHTS) as temporary:
        try:
            save_file(tensors, temporary, metadata={"format": "pt"})
        except SafetensorError as error:
            raise OSError(f"{error}") from error
        mask = os.umask(0)  # can be read only by setting it
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # safetensors makes files that only their owner can read
    write_atomically(folder / CONFIG, settings)  # last, for it is what makes the folder a model


def _shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    shapes = parameter_shapes(config)
    return {huggingface_name(name): shape[::-1] if is_transposed(name) else shape for name, shape in shapes.items()}


def _turn(name: str, array: np.ndarray) -> np.ndarray:
    return array.T if is_transposed(name) else array


def _reading(name: str, tensor: Tensor, dtype: str) -> Callable[[tuple[slice, ...]], np.ndarray]:
    """Reads parts of a parameter, which may be stored turned around."""

    def read(index: tuple[slice, ...]) -> np.ndarray:
        stored = index[::-1] if is_transposed(name) else index
        return finite(tensor.name, _turn(name, tensor.read(stored)), float_dtype(dtype), str(tensor.file))

    return read


def _without_copies(found: dict[str, Tensor], config: T5Config, folder: Path) -> dict[str, Tensor]:
    """The tensors, each once, after making sure that copies of the embedding are copies."""
    copies = (*EMBEDDING_COPIES, LOGITS) if config.logits_via_embedding else EMBEDDING_COPIES
    kept = {name: t for name, t in found.items() if name not in (*copies, UNUSED)}
    for copy in (found[name] for name in copies if name in found):
        embedding = kept.setdefault(EMBEDDING, copy)
        if copy is not embedding and not np.array_equal(copy.read(), embedding.read()):
            raise UserError(f"{copy.name} and {EMBEDDING} of {folder} differ, expected one embedding as in T5")
    if not config.logits_via_embedding and LOGITS not in kept and EMBEDDING in kept and stores_one_table(folder / CONFIG):
        kept[LOGITS] = kept[EMBEDDING]
    return kept
