"""What is known of prompts, as `ptune prompts ls` and `show` print it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ptune_cli.commands import prompt_places
from ptune_cli.errors import UserError, nearest_path
from ptune_cli.formats import prompt
from ptune_cli.formats.prompt_arrays import Stored

KNOWN = ("task", "base_model", "base_fingerprint", "vocabulary_sha256", "seed", "step", "scores", "placement", "made")


def listed(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for every prompt below the folders; with "error", of a prompt that cannot be read. UserError for no such folder.

    Only headers are read. A NumPy or safetensors file that is no prompt is left out, unless its name is a prompt's.
    """
    found = []
    for folder in folders:
        if not folder.exists():
            raise UserError(f"no folder '{folder}'", nearest_path(folder))
        if folder.is_file():
            found.append(_facts(folder, prompt.opened(folder)))
        found += [row for place in prompt_places.below(folder) if (row := _row(place))]
    return found


def of(place: Path) -> dict[str, Any]:
    """All that is known of one prompt: its metadata, and the norms of its rows. UserError where it cannot be read."""
    stored = prompt.opened(place)
    array = stored.read()
    norms = np.linalg.norm(array, axis=1)
    return {
        **_facts(place, stored),
        "sha256": sha256(array),
        "norm": {"least": float(norms.min()), "mean": float(norms.mean()), "largest": float(norms.max())},
        "notes": list(stored.notes),
        "metadata": dict(stored.metadata),
    }


def sha256(array: np.ndarray) -> str:
    """Of the values alone, float32 in C order: the same for a prompt in every format."""
    return hashlib.sha256(np.ascontiguousarray(array, "<f4").tobytes()).hexdigest()


def _row(place: Path) -> dict[str, Any] | None:
    try:
        return _facts(place, prompt.opened(place))
    except UserError as error:
        return {"path": str(place), "error": str(error)} if place.is_dir() else None


def _facts(place: Path, stored: Stored) -> dict[str, Any]:
    return {
        "path": str(place),
        "file": str(stored.file),
        "format": stored.kind,
        "length": stored.shape[0],
        "width": stored.shape[1],
        "dtype": stored.dtype,
        "bytes": stored.file.stat().st_size,
        **{key: stored.metadata.get(key) for key in KNOWN},
    }
