"""Reads a T5 as Hugging Face's `transformers` writes it: config.json and weights in one folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ptune_cli.errors import UserError
from ptune_cli.formats.blocks import blocks
from ptune_cli.formats.huggingface_config import read_config, stores_one_table
from ptune_cli.formats.huggingface_names import EMBEDDING, EMBEDDING_COPIES, LOGITS, UNUSED, huggingface_name, is_transposed
from ptune_cli.formats.huggingface_tensors import Tensor, open_tensors
from ptune_cli.formats.strict import Put, check_shapes, finite, float_dtype, whole
from ptune_cli.t5.config import T5Config, parameter_shapes

CONFIG = "config.json"
WIDEST = 8  # bytes of a number


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
    found = _without_copies(open_tensors(folder), config, folder)
    check_shapes({name: t.shape for name, t in found.items()}, _shapes(config), str(folder))
    shapes = parameter_shapes(config)
    return config, {(own := names[name]): put(own, shapes[own], _reading(own, t, dtype)) for name, t in found.items()}


def stored_dtypes(folder: str | Path) -> set[str]:
    """The types of a folder's tensors, without reading any value. Raises UserError for a damaged file."""
    return {tensor.dtype for tensor in open_tensors(Path(folder).expanduser()).values()}


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
        if copy is not embedding and not _equal(copy, embedding):
            raise UserError(f"{copy.name} and {EMBEDDING} of {folder} differ, expected one embedding as in T5")
    if not config.logits_via_embedding and LOGITS not in kept and EMBEDDING in kept and stores_one_table(folder / CONFIG):
        kept[LOGITS] = kept[EMBEDDING]
    return kept


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers; a part of each is in memory."""
    return one.shape == other.shape and all(
        np.array_equal(one.read(part), other.read(part)) for part in blocks(one.shape, WIDEST)
    )
