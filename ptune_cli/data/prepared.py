"""A prepared split: one task's tokens, texts and facts in a folder. Reading it needs neither TensorFlow, seqio nor JAX.

    inputs.npy   targets.npy                 int32: all examples' tokens end to end; no end of sequence (but that of targets
                                             where the manifest's `targets_end` is false), no truncation
    input_offsets.npy   target_offsets.npy   int64: example i is tokens[offsets[i]:offsets[i + 1]]
    rows.jsonl   row_offsets.npy             one JSON object an example: its texts, and whatever its metrics need; byte offsets
    manifest.json                            what it is, how much there is, and the sha256 of every file

A folder under its final name is complete: the writer renames it last.
"""

import copy
import hashlib
import json
import mmap
import os
import re
from pathlib import Path

import numpy as np

from ptune_cli.data.fingerprint import FORMAT, fingerprint, sha256
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.file_task import SCHEME, short_name

ARRAYS = {
    "inputs": np.int32,
    "input_offsets": np.int64,
    "targets": np.int32,
    "target_offsets": np.int64,
    "row_offsets": np.int64,
}
FILES = (*(f"{name}.npy" for name in ARRAYS), "rows.jsonl")


class Prepared:
    """The examples of one split, memory-mapped. Made by `open`."""

    def __init__(self, folder: Path, manifest: dict):
        self.folder = folder
        self.manifest = manifest
        self.labels: tuple[str, ...] | None = None if manifest["labels"] is None else tuple(manifest["labels"])
        self.metrics: tuple[str, ...] = tuple(manifest["metrics"])
        self.headline: tuple[str, ...] = tuple(manifest["headline"])
        self.postprocess: str = manifest["postprocess"]
        self.targets_end: bool = manifest["targets_end"]
        self._first, self._count = 0, manifest["examples"]
        self._arrays = {name: _load(folder / f"{name}.npy") for name in ARRAYS}
        self.input_lengths = np.diff(self._arrays["input_offsets"]).astype(np.int32)
        self.target_lengths = np.diff(self._arrays["target_offsets"]).astype(np.int32)
        with open(folder / "rows.jsonl", "rb") as rows:
            self._rows = mmap.mmap(rows.fileno(), 0, access=mmap.ACCESS_READ)

    @classmethod
    def open(cls, folder: str | Path) -> "Prepared":
        """Opens a prepared split after comparing every file with the manifest's hashes.

        Raises:
            UserError: a file is missing, changed or unreadable (names it, and what to do), or another version wrote it.
        """
        folder = Path(folder)
        manifest = _read_manifest(folder)
        for name, digest in manifest["sha256"].items():
            if not (folder / name).is_file():
                raise UserError(f"{folder / name} is missing", _remedy(folder))
            if sha256(folder / name) != digest:
                raise UserError(f"{folder / name} is corrupt: its content changed after it was written", _remedy(folder))
        return cls(folder, manifest)

    def __len__(self) -> int:
        return self._count

    def part(self, start: int, stop: int) -> "Prepared":
        """The examples start..stop as a split of their own, over the same files."""
        found = copy.copy(self)
        found._first, found._count = self._first + start, stop - start
        found.input_lengths, found.target_lengths = self.input_lengths[start:stop], self.target_lengths[start:stop]
        return found

    def inputs(self, i: int) -> np.ndarray:
        """The input tokens of example `i`: int32 [T], read-only, without end of sequence."""
        return self._tokens("inputs", "input_offsets", i)

    def targets(self, i: int) -> np.ndarray:
        """The target tokens of example `i`: int32 [S], read-only, without the end of sequence that all of them have."""
        return self._tokens("targets", "target_offsets", i)

    def row(self, i: int) -> dict:
        """The texts of example `i`: `inputs`, `targets` (as they were before tokenisation) and its other fields."""
        start, end = self._span("row_offsets", i)
        return json.loads(self._rows[start:end])

    def _tokens(self, array: str, offsets: str, i: int) -> np.ndarray:
        start, end = self._span(offsets, i)
        return self._arrays[array][start:end]

    def _span(self, offsets: str, i: int) -> tuple[int, int]:
        if not 0 <= i < len(self):
            raise IndexError(f"example {i} of {len(self)}")
        at = self._first + i
        return int(self._arrays[offsets][at]), int(self._arrays[offsets][at + 1])


def default_cache() -> Path:
    """Where prepared splits are kept: $PTUNE_CACHE, or ~/.cache/ptune."""
    return Path(os.environ.get("PTUNE_CACHE") or "~/.cache/ptune").expanduser()


def find(task: str, split: str, vocabulary: Vocabulary, cache_dir: str | Path | None = None) -> Path:
    """Where the split, as its task is now, is or would be prepared. Raises UserError as `fingerprint`."""
    named = short_name(task) if task.startswith(SCHEME) else task  # a template can be too long for a folder's name
    name = re.sub(r"[^\w.-]+", "-", f"{named}-{split}")
    root = Path(cache_dir) if cache_dir is not None else default_cache()
    return root / "prepared" / f"{name}-{fingerprint(task, split, vocabulary)[:16]}"


def seal(manifest: dict) -> str:
    """The hash of a manifest's own content, which it carries as `manifest_sha256`."""
    content = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read_manifest(folder: Path) -> dict:
    file = folder / "manifest.json"
    try:
        manifest = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{folder} is not a prepared split: {file} is missing", _remedy(folder)) from None
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:  # JSON or UTF-8
        raise UserError(f"{file} is corrupt: {error}", _remedy(folder)) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"{file} is not of format {FORMAT}: another version of ptune wrote it", _remedy(folder))
    if manifest.get("manifest_sha256") != seal(manifest) or set(manifest["sha256"]) != set(FILES):
        raise UserError(f"{file} is corrupt: its content changed after it was written", _remedy(folder))
    return manifest


def _load(file: Path) -> np.ndarray:
    return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))


def _remedy(folder: Path) -> str:
    return f"delete {folder} and run again to prepare it anew"
