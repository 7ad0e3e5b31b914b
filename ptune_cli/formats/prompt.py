"""Prompt files: `prompt.safetensors`, which says what it belongs to, and `prompt.npy`, which the original code reads.

Neither can run code when read: NumPy files that hold pickled objects are refused.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ptune_cli.errors import UserError, nearest_path
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.formats.strict import DAMAGED, check_float, damaged, finite

FORMAT = "ptune-prompt-1"
ARRAY = "prompt"  # the array's name in the safetensors file
FILES = ("prompt.safetensors", "prompt.npy", "encoder.prompt.prompt.prompt")  # best first; the last is the original code's
# Metadata that is text; safetensors stores only text, so everything else is written as JSON.
TEXT = ("format", "base_model", "base_fingerprint", "vocabulary_sha256", "task", "placement", "ptune_version")
NUMPY_MAGIC = b"\x93NUMPY"


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
    folder, array = Path(folder), np.ascontiguousarray(prompt.array, np.float32)
    metadata = {**prompt.metadata, "format": FORMAT}
    texts = {name: value if name in TEXT else json.dumps(value, sort_keys=True) for name, value in metadata.items()}
    npy = io.BytesIO()
    np.save(npy, array, allow_pickle=False)
    write_atomically(folder / "prompt.npy", npy.getvalue())
    write_atomically(folder / "prompt.safetensors", save({ARRAY: array}, metadata=texts))


def read(path: str | Path) -> PromptFile:
    """The prompt at `path`: a safetensors or NumPy file of any name, or a folder that holds one of `FILES`.

    Any floating-point type is read, as float32. Raises UserError for a file that is damaged, is no prompt [P, D], or
    holds values that are not finite.
    """
    file = _file(Path(path).expanduser())
    try:
        with open(file, "rb") as opened:
            is_numpy = opened.read(len(NUMPY_MAGIC)) == NUMPY_MAGIC
    except OSError as error:
        raise damaged(f"prompt {file}", error) from error
    prompt = PromptFile(_read_numpy(file)) if is_numpy else _read_safetensors(file)
    if prompt.array.ndim != 2 or 0 in prompt.array.shape:
        raise UserError(f"prompt {file} has shape {prompt.array.shape}, expected [length, width]")
    check_float("prompt", prompt.array.dtype.name, str(file))
    return PromptFile(finite("prompt", prompt.array, np.dtype(np.float32), str(file)), prompt.metadata)


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
    for name in FILES:
        if (path / name).is_file():
            return path / name
    raise UserError(f"no prompt at {path}", f"expected a prompt file, or a folder with {FILES[0]} or {FILES[1]}")


def _read_numpy(file: Path) -> np.ndarray:
    # A memory map is no larger than the file, whatever size the header claims.
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy evaluates the header as a Python literal, with as many ways to fail
        raise damaged(f"prompt {file}", error) from error
    if array.offset + array.nbytes != file.stat().st_size:
        raise UserError(f"prompt {file} is longer than its header says", DAMAGED)
    return np.array(array)


def _read_safetensors(file: Path) -> PromptFile:
    try:
        with safe_open(file, framework="numpy") as opened:
            metadata, names = opened.metadata() or {}, opened.keys()
            array = opened.get_tensor(ARRAY) if ARRAY in names else None
    except (SafetensorError, OSError, TypeError, AttributeError) as error:
        raise damaged(f"prompt {file} as a safetensors or NumPy file", error) from error
    if metadata.get("format", FORMAT) != FORMAT:
        raise UserError(f"prompt {file} has format {metadata['format']!r}, expected {FORMAT!r}", "update ptune")
    if array is None:
        raise UserError(f"{file} has no array {ARRAY!r} (have: {', '.join(sorted(names)[:5])})", "is it a prompt?")
    return PromptFile(array, {name: text if name in TEXT else _value(text) for name, text in metadata.items()})


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # text that another program added
        return text
