"""The formats that a model can be written in, by the names that `ptune convert --format` takes."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ptune_cli.formats import huggingface_writing
from ptune_cli.formats.strict import Put
from ptune_cli.formats.t5x_places import Place, flat_places, scanned_places
from ptune_cli.t5.config import T5Config

Places = Callable[[T5Config], Mapping[str, tuple[str, tuple[int, ...]]]]  # {T5X's name: (name in the file, shape in it)}


@dataclass(frozen=True)
class Format:
    """`writing(folder, config, dtype, prompt, step)` makes the folder a model; `prompt` [P, D] is for formats that hold one."""

    name: str
    writing: Callable[[Path, T5Config, str, np.ndarray | None, int], AbstractContextManager[Put]]
    places: Places
    holds_prompt: bool = False
    holds_vocabulary: bool = False


def _huggingface(folder: Path, config: T5Config, dtype: str, prompt: object, step: int) -> AbstractContextManager[Put]:
    return huggingface_writing.writing(folder, config, dtype)


def _t5x(name: str, layout: str, places: Places) -> Format:
    def writing(folder: Path, config: T5Config, dtype: str, prompt: np.ndarray | None, step: int) -> AbstractContextManager[Put]:
        from ptune_cli.formats import t5x_writing  # imports JAX by way of flax

        return t5x_writing.writing(folder, config, dtype, layout, prompt, step)

    return Format(name, writing, places, holds_prompt=True)


def _flat(config: T5Config) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: (place.array, place.shape) for name, place in flat_places(config).items()}


def _scanned(config: T5Config) -> dict[str, tuple[str, tuple[int, ...]]]:
    """A layer is named by its index on the axis of layers."""

    def array(place: Place) -> str:
        return f"{place.array}[:, {place.layers[0]}]" if place.layers and len(place.layers) == 1 else place.array

    return {name: (array(place), place.shape) for name, place in scanned_places(config).items()}


FORMATS = {
    "huggingface": Format("Hugging Face", _huggingface, huggingface_writing.tensors, holds_vocabulary=True),
    "t5x": _t5x("T5X", "legacy", _flat),
    "t5x_scanned": _t5x("T5X, scanned", "legacy_scanned", _scanned),
    "orbax": _t5x("T5X with Orbax", "orbax", _flat),
    "orbax_scanned": _t5x("T5X with Orbax, scanned", "orbax_scanned", _scanned),
}
