"""The formats that a model can be written in, by the names that `ptune convert --format` takes."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ptune_cli.formats import huggingface_writing
from ptune_cli.formats.strict import Put
from ptune_cli.t5.config import T5Config


Places = Callable[[T5Config], Mapping[str, tuple[str, tuple[int, ...]]]]  # {T5X's name: (name in the file, shape in it)}


@dataclass(frozen=True)
class Format:
    """`writing(folder, config, dtype, prompt)` makes the folder a model; `prompt` [P, D] is for formats that hold one."""

    name: str
    writing: Callable[[Path, T5Config, str, np.ndarray | None], AbstractContextManager[Put]]
    places: Places
    holds_prompt: bool = False
    holds_vocabulary: bool = False


FORMATS = {
    "huggingface": Format(
        "Hugging Face",
        lambda folder, config, dtype, prompt: huggingface_writing.writing(folder, config, dtype),
        huggingface_writing.tensors,
        holds_vocabulary=True,
    ),
}
