"""A prompt from one format to another: ptune's, a bare NumPy array, the original code's files, PEFT's adapters."""

import sys
from pathlib import Path
from typing import Any

from ptune_cli.commands import prompt_base, prompt_places
from ptune_cli.commands.prompt_writing import FORMATS, WRITERS, check_new
from ptune_cli.errors import UserError, nearest
from ptune_cli.formats import original_prompt, prompt
from ptune_cli.formats.prompt import PromptFile

SUFFIXES = {".safetensors": "ptune", ".npy": "npy"}
FORGETTING = ("npy", "original")  # formats that have the array alone


def convert_prompt(source: Path, destination: Path, format: str | None, base: str | None) -> dict[str, Any]:
    """Write the prompt at `source` to `destination`, which appears whole or not at all; returns what was done, for --json.

    ptune: a folder with prompt.safetensors and prompt.npy, or a file NAME.safetensors. npy: a file. original: the file
    encoder.prompt.prompt.prompt, or else a folder laid out as the original code's of a model. peft: a folder. `format` None: what
    the name of `destination` tells. `base` is the model that the prompt is said to be of: one that is here is compared with it.
    What cannot be kept is said on standard error. UserError where `destination` exists, the two do not belong together, or the
    format has no place for the prompt.
    """
    destination, format = destination.expanduser(), format or _told(destination)
    if format not in FORMATS:
        raise UserError(f"no format '{format}' of prompts", nearest(format, FORMATS))
    check_new(destination)
    stored = prompt.opened(prompt_places.one(source))
    found = PromptFile(stored.read(), stored.metadata)
    written = prompt_base.joined(found, base) if base else found
    WRITERS[format](destination, written)
    notes = [*stored.notes, *_forgotten(written, format), *_rounded(stored.dtype), *_base_notes(written, format, base)]
    for note in notes:
        print(note, file=sys.stderr)
    return {
        "source": str(stored.file),
        "source_format": stored.kind,
        "destination": str(destination),
        "format": format,
        "length": written.array.shape[0],
        "width": written.array.shape[1],
        "stored_dtype": stored.dtype,
        "base_model": written.metadata.get("base_model"),
        "base_fingerprint": written.metadata.get("base_fingerprint"),
        "notes": notes,
    }


def sentence(done: dict[str, Any]) -> str:
    """What `convert_prompt` did, for people."""
    of = f", of {done['base_model']}" if done["base_model"] else ""
    size = f"{done['length']} rows of {done['width']}{of}"
    return f"{done['source']} ({done['source_format']}) -> {done['destination']} ({done['format']}): {size}"


def _told(destination: Path) -> str:
    if destination.name == original_prompt.NAME:
        return "original"
    if destination.suffix not in SUFFIXES:
        ends = f"a name that ends in {' or '.join(SUFFIXES)}"
        raise UserError(f"{destination} does not tell a prompt's format", f"give --format ({', '.join(FORMATS)}), or {ends}")
    return SUFFIXES[destination.suffix]


def _forgotten(found: PromptFile, format: str) -> list[str]:
    placement = found.metadata.get("placement", "prefix")
    said = [f"the file does not say that the prompt's placement is '{placement}'"] if placement != "prefix" else []
    return said if format in FORGETTING else []


def _rounded(dtype: str) -> list[str]:
    return ["the prompt was stored as float64 and is rounded to float32"] if dtype == "float64" else []


def _base_notes(found: PromptFile, format: str, base: str | None) -> list[str]:
    if base and "base_fingerprint" not in found.metadata:
        return [f"'{base}' is neither a shipped model nor a Hugging Face folder: its name is written, and nothing was compared"]
    if format == "peft" and not found.metadata.get("base_model"):
        return ["the adapter does not name its base model, which PEFT's Auto classes look for: give --base"]
    return []
