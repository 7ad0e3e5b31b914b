"""The base model that a prompt is said to belong to: what its metadata says of it. JAX is not needed, so it is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptune_cli import shipped
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.formats import huggingface, vocabulary_file
from ptune_cli.formats.prompt import PromptFile
from ptune_cli.t5.fingerprint import Samples


@dataclass(frozen=True)
class Base:
    """A base model, by the name or path that was given. `metadata` is what a prompt of it says; `width` None: not known here."""

    metadata: dict[str, Any]
    width: int | None = None


def find(name: str) -> Base:
    """A model that ships with ptune or a Hugging Face folder, whose weights are read for their fingerprint; else the name alone.

    UserError for a folder that cannot be read.
    """
    if name not in shipped.names() and not huggingface.is_huggingface(name):
        return Base({"base_model": name})
    folder, samples = Path(shipped.locate(name)), Samples()

    def put(parameter: str, shape: tuple[int, ...], read: Any) -> None:
        samples.add(parameter, shape, (), np.asarray(read(())))

    config, _ = huggingface.read(folder, "bfloat16", put)
    metadata = {"base_model": name, "base_fingerprint": samples.digest(), "model": {"checkpoint": name, "config": None}}
    if any((folder / file).is_file() for file in vocabulary_file.NAMES):
        metadata["vocabulary_sha256"] = Vocabulary(vocabulary_file.find(str(folder), folder)).sha256
    return Base(metadata, config.emb_dim)


def joined(prompt: PromptFile, name: str) -> PromptFile:
    """The prompt, with what is known of the base model of this name. UserError where it is of another one."""
    base, width = find(name), prompt.array.shape[1]
    if base.width not in (None, width):
        raise UserError(
            f"the prompt's width is {width}, and that of {name} is {base.width}", "name the model that it was trained on"
        )
    for key, what in (("base_fingerprint", "model of fingerprint"), ("vocabulary_sha256", "vocabulary of sha256")):
        known, own = prompt.metadata.get(key), base.metadata.get(key)
        if known and own and known != own:
            raise UserError(f"the prompt was trained with a {what} {known}, and that of {name} is {own}", "leave out --base")
    return PromptFile(prompt.array, {**prompt.metadata, **base.metadata})
