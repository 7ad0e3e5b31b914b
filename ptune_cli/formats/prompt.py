"""Prompt files: `prompt.safetensors`, which says what it belongs to, and `prompt.npy`, which the original code reads.

Prompts of the original code and of Hugging Face's PEFT are read as well. None can run code when read.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from ptune_cli.errors import UserError, nearest_path
from ptune_cli.formats import original_prompt, peft
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.formats.prompt_arrays import Stored, is_numpy, open_numpy, open_safetensors
from ptune_cli.formats.prompt_metadata import as_texts, from_texts

FORMAT = "ptune-prompt-1"
ARRAY = "prompt"  # the array's name in the safetensors file
OWN, BARE = "prompt.safetensors", "prompt.npy"
FILES = (OWN, BARE, original_prompt.NAME)  # best first; the last is the original code's


@dataclass(frozen=True)
class PromptFile:
    """A prompt, float32 [P, D], and what is known about it: empty where the file was a bare NumPy array.

    ptune writes the metadata base_model, base_fingerprint, vocabulary_sha256, task, length, placement, seed, step,
    scores, recipe and ptune_version.
    """

    array: np.ndarray
    metadata: Mapping[str, Any] = field(default_factory=dict)


def prompt_folder(run: Path, member: str) -> Path:
    """Where a run keeps a member's best prompt."""
    return run / "prompts" / member


def write(folder: str | Path, prompt: PromptFile) -> None:
    """Writes `prompt.safetensors` and `prompt.npy` into `folder`, each atomically. UserError where that cannot be done."""
    write_numpy(Path(folder) / BARE, prompt)
    write_safetensors(Path(folder) / OWN, prompt)


def write_safetensors(file: Path, prompt: PromptFile) -> None:
    """Writes the array and its metadata, atomically. UserError where that cannot be done."""
    array = np.ascontiguousarray(prompt.array, np.float32)
    write_atomically(file, save({ARRAY: array}, metadata=as_texts({**prompt.metadata, "format": FORMAT})))


def write_numpy(file: Path, prompt: PromptFile) -> None:
    """Writes the array alone, atomically. UserError where that cannot be done."""
    npy = io.BytesIO()
    np.save(npy, np.ascontiguousarray(prompt.array, np.float32), allow_pickle=False)
    write_atomically(file, npy.getvalue())


def read(path: str | Path) -> PromptFile:
    """The prompt at `path`: a safetensors or NumPy file of any name; a folder that holds one of `FILES`; a PEFT adapter; the
    original code's model folder, which has prompts of several steps, of which the last is taken.

    Any floating-point type is read, as float32. Raises UserError for a file that is damaged, is no prompt [P, D], or
    holds values that are not finite.
    """
    stored = opened(path)
    return PromptFile(stored.read(), stored.metadata)


def opened(path: str | Path) -> Stored:
    """The prompt at `path`, as `read` finds it, with nothing read but its header. UserError likewise, but for values."""
    path = Path(path).expanduser()
    folder = path.parent if path.name in (peft.WEIGHTS, peft.PICKLED) else path
    if peft.is_adapter(folder):
        return peft.open_adapter(folder).checked()
    file = _file(path)
    original_prompt.check_name(file)
    if is_numpy(file):
        return replace(open_numpy(file), kind="original" if file.name == original_prompt.NAME else "npy").checked()
    return _open_own(file).checked()


def check(prompt: PromptFile, frozen: Any) -> None:
    """Raises UserError where the prompt was not trained for `frozen` (a `base_model.Frozen`).

    Compares the width, the fingerprint of the weights and the vocabulary, the last two where the prompt's file has them.
    """
    check_width(prompt, frozen.config.emb_dim, frozen.name)
    check_fingerprint(prompt, frozen.fingerprint, frozen.name)
    _check_mark(prompt, "vocabulary_sha256", "vocabulary of sha256", frozen.vocabulary.sha256, frozen.name)


def check_width(prompt: PromptFile, width: int, name: str) -> None:
    """Raises UserError unless the prompt is as wide as the model of this name."""
    if prompt.array.shape[1] != width:
        found = prompt.array.shape[1]
        raise UserError(f"the prompt's width is {found}, expected {width} for {name}", _trained(prompt.metadata))


def check_fingerprint(prompt: PromptFile, fingerprint: str, name: str) -> None:
    """Raises UserError where the prompt's file names other weights than those of the model of this name."""
    _check_mark(prompt, "base_fingerprint", "model of fingerprint", fingerprint, name)


def _check_mark(prompt: PromptFile, key: str, what: str, expected: str, name: str) -> None:
    if prompt.metadata.get(key, expected) != expected:
        message = f"the prompt was trained with a {what} {prompt.metadata[key]}, but {name}'s is {expected}"
        raise UserError(message, _trained(prompt.metadata))


def _trained(metadata: Mapping[str, Any]) -> str:
    return f"use the model it was trained on ({metadata.get('base_model', 'its file does not say which')})"


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.exists():
        raise UserError(f"no prompt at {path}", nearest_path(path))
    for name in (OWN, BARE):
        if (path / name).is_file():
            return path / name
    if found := original_prompt.find(path):
        return found
    raise UserError(f"no prompt at {path}", f"expected a prompt file, or a folder with {OWN}, {BARE} or {peft.CONFIG}")


def _open_own(file: Path) -> Stored:
    stored, texts, _ = open_safetensors(file, ARRAY, "is it a prompt?")
    if texts.get("format", FORMAT) != FORMAT:
        raise UserError(f"prompt {file} has format {texts['format']!r}, expected {FORMAT!r}", "update ptune")
    return replace(stored, kind="ptune", metadata=from_texts(texts))
