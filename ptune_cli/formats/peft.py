"""Prompts as adapters of Hugging Face's PEFT: `adapter_config.json` and `adapter_model.safetensors` in one folder.

What PEFT does with a prompt of an encoder-decoder model (`PROMPT_TUNING`, `SEQ_2_SEQ_LM`; its versions 0.4 to 0.21.2): `forward`
and `generate` both put rows 0 to P-1 of `prompt_embeddings` before the encoder's embedded input, and P ones before its attention
mask. The decoder gets no prompt. `num_transformer_submodules`, by default 2, only says that the array has 2P rows: the second P
are drawn at random, saved, and never used or trained. So a prompt [P, D] is written with `num_transformer_submodules` 1, and of
2P rows the first P are read. PEFT before 0.4, which wrote `adapter_model.bin` alone, did put the other rows before the decoder's
input in training; no version could generate so, and no later one does it.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from ptune_cli.errors import UserError
from ptune_cli.formats import torch_file
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.formats.prompt_arrays import Stored, open_safetensors
from ptune_cli.formats.prompt_metadata import as_texts, from_texts
from ptune_cli.formats.strict import damaged

CONFIG, WEIGHTS, PICKLED = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
ARRAY = "prompt_embeddings"
METHOD, TASK = "PROMPT_TUNING", "SEQ_2_SEQ_LM"
OWN = "ptune"  # the entry of the safetensors header with what ptune knows of the prompt; PEFT reads no header
NO_PROMPT = "is it an adapter of prompt tuning?"
LARGEST_CONFIG = 1_000_000  # bytes; PEFT's are of less than one thousand
SUBMODULES = 2  # where the configuration leaves it open


def is_adapter(folder: Path) -> bool:
    """Whether it is a folder with an adapter_config.json, as PEFT's `save_pretrained` writes it."""
    return (folder / CONFIG).is_file()


def open_adapter(folder: Path) -> Stored:
    """The rows [P, D] of an adapter that belong to the encoder; the base model's name is metadata and is not looked up.

    Entries that later versions of PEFT add to the configuration are ignored. UserError for another method than prompt tuning,
    another task, a damaged file, and where the configuration and the array disagree.
    """
    config = _config(folder / CONFIG)
    rows = _rows(folder, config)
    stored, header, others = _open_weights(folder)
    if others:
        raise UserError(f"{stored.file} has more than {ARRAY} ({', '.join(sorted(others)[:5])})", "only a prompt can be used")
    submodules = _count(config, "num_transformer_submodules", folder) or SUBMODULES
    _check_shape(stored, rows * submodules, _count(config, "token_dim", folder), config)
    notes = _notes(rows, submodules, stored.file.name == PICKLED)
    return replace(stored.first(rows), kind="peft", metadata=_metadata(config, header), notes=notes)


def write(folder: Path, array: np.ndarray, metadata: Mapping[str, Any], base: str | None) -> None:
    """Write a prompt [P, D] float32 as an adapter that `PeftModel.from_pretrained(T5, folder)` reads.

    `base` is the name that is written of the base model: a path or a name of the Hugging Face hub. UserError where the prompt is
    not in front of the input, which PEFT cannot express, or the folder cannot be written.
    """
    placement = metadata.get("placement", "prefix")
    if placement != "prefix":
        raise UserError(f"the prompt's placement is '{placement}'", "PEFT puts every prompt in front of the input")
    header = {"format": "pt", OWN: json.dumps(as_texts(metadata), sort_keys=True)}
    write_atomically(folder / WEIGHTS, save({ARRAY: np.ascontiguousarray(array, np.float32)}, metadata=header))
    config = {
        "base_model_name_or_path": base,
        "inference_mode": True,
        "num_transformer_submodules": 1,
        "num_virtual_tokens": array.shape[0],
        "peft_type": METHOD,
        "task_type": TASK,
        "token_dim": array.shape[1],
    }
    write_atomically(folder / CONFIG, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())


def _open_weights(folder: Path) -> tuple[Stored, dict[str, str], list[str]]:
    """As `open_safetensors`. Of both files, PEFT takes the one that is no pickle; the other is read without running it."""
    if (folder / WEIGHTS).is_file():
        return open_safetensors(folder / WEIGHTS, ARRAY, NO_PROMPT)
    file = folder / PICKLED
    if not file.is_file():
        raise UserError(f"no {WEIGHTS} in {folder}", f"expected it beside {CONFIG}")
    found = {name: (view, read) for name, view, read in torch_file.tensors(file)}
    if ARRAY not in found:
        raise UserError(f"{file} has no array {ARRAY!r} (have: {', '.join(sorted(found)[:5])})", NO_PROMPT)
    view, read = found.pop(ARRAY)
    return Stored(file, view.shape, view.dtype, lambda: read(())), {}, list(found)


def _config(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > LARGEST_CONFIG:
            raise ValueError(f"it has {file.stat().st_size:,} bytes, and a configuration has less than {LARGEST_CONFIG:,}")
        found = json.loads(file.read_bytes())
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, OSError, RecursionError) as error:
        raise damaged(file, error) from error
    return found


def _rows(folder: Path, config: Mapping[str, Any]) -> int:
    """The prompt's length. UserError for an adapter that is no prompt of an encoder-decoder model."""
    for key, expected, hint in (
        ("peft_type", METHOD, "only PEFT's prompt tuning puts a prompt in front of the input and nothing else"),
        ("task_type", TASK, "only prompts of encoder-decoder models can be used with a T5"),
    ):
        if config.get(key) != expected:
            raise UserError(f"{folder} has {key} {_said(config.get(key))}, expected '{expected}'", hint)
    rows = _count(config, "num_virtual_tokens", folder)
    if rows is None:
        raise UserError(f"{folder / CONFIG} has no num_virtual_tokens", "it says how long the prompt is")
    return rows


def _count(config: Mapping[str, Any], key: str, folder: Path) -> int | None:
    value = config.get(key)
    if value is not None and (type(value) is not int or value < 1):
        raise UserError(f"{folder / CONFIG} has {key} {_said(value)}, expected a number of at least 1")
    return value


def _check_shape(stored: Stored, rows: int, width: int | None, config: Mapping[str, Any]) -> None:
    expected = (rows, width or stored.shape[-1] if stored.shape else 0)
    if stored.shape != expected:
        names = ("num_virtual_tokens", "num_transformer_submodules", "token_dim")
        said = ", ".join(f"{name} {_said(config.get(name))}" for name in names)
        raise UserError(f"{ARRAY} of {stored.file} has shape {stored.shape}, expected {expected}", f"{CONFIG} has {said}")


def _metadata(config: Mapping[str, Any], header: Mapping[str, str]) -> dict[str, Any]:
    """What ptune wrote, or else the name of the base model."""
    try:
        own = json.loads(header.get(OWN, "{}"))
        found = from_texts({str(name): text for name, text in own.items() if isinstance(text, str)})
    except (ValueError, AttributeError, RecursionError):  # another program's entry of this name
        found = {}
    base = config.get("base_model_name_or_path")
    return {"base_model": base, **found} if isinstance(base, str) else found


def _notes(rows: int, submodules: int, pickled: bool) -> tuple[str, ...]:
    if submodules == 1:
        return ()
    left_out = f"the adapter's rows {rows} to {rows * submodules - 1} are left out: they stand for the decoder's"
    old = " since 0.4; if an earlier one saved them, it had trained them before the decoder's input" if pickled else ""
    return (f"{left_out}, and PEFT uses none{old}",)


def _said(value: Any) -> str:
    return repr(value)[:40]
