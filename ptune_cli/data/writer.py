"""Writes a prepared split: one example at a time, and under its final name only once all of it is on disk."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock

from ptune_cli.data.fingerprint import FORMAT, sha256
from ptune_cli.data.prepared import ARRAYS, FILES, seal
from ptune_cli.errors import UserError

MAX_LABELS = 20


class Example(NamedTuple):
    """One example: token ids without end of sequence, and its row: `inputs`, `targets` and other fields that JSON can hold."""

    inputs: Sequence[int] | np.ndarray
    targets: Sequence[int] | np.ndarray
    row: Mapping


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time make `folder`; the others wait. A process that dies lets go. Errors of the disk: UserError."""
    with _as_user_error(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{folder}.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write(folder: Path, examples: Iterable[Example], facts: Mapping) -> None:
    """Writes `examples`, and `facts` in the manifest, as `folder`.

    `facts` are task, split, fingerprint, vocabulary_sha256, postprocess, metrics, headline and any other; without
    `labels`, those are the distinct target texts, sorted, or None if there are more than MAX_LABELS.
    Memory does not grow with the number of examples. The caller holds `locked(folder)`, so what an earlier process left
    half-way is removed.

    Raises:
        UserError: the disk is full, not writable, or there is no example.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    with _as_user_error(folder):
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir()
        try:
            found = _write_examples(partial, examples)
            if not found["examples"]:
                raise UserError(f"task '{facts['task']}', split '{facts['split']}' has no example")
            _write_manifest(partial, {"format": FORMAT, **found, **facts})
            _sync(*partial.iterdir(), partial)
            partial.rename(folder)
            _sync(folder.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


class _Array:
    """A one-dimensional .npy file that grows; its header is written again, in place, once the length is known."""

    def __init__(self, path: Path, dtype: type):
        self.dtype = np.dtype(dtype)
        self.length = 0
        self._file = open(path, "wb")
        self._write_header()

    def extend(self, values: Sequence[int] | np.ndarray) -> None:
        self._file.write(np.asarray(values, self.dtype).tobytes())
        self.length += len(values)

    def close(self) -> None:
        try:
            self._file.seek(0)
            self._write_header()
        finally:
            self._file.close()

    def _write_header(self) -> None:
        # NumPy pads the header so that the first axis can grow to any length without moving the data.
        descr = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._file, header)


def _write_examples(folder: Path, examples: Iterable[Example]) -> dict:
    """Writes everything but the manifest. Returns what it counted."""
    count = max_input = max_target = 0
    texts: set[str] = set()
    with contextlib.ExitStack() as stack:
        arrays = {name: stack.enter_context(contextlib.closing(_Array(folder / f"{name}.npy", d))) for name, d in ARRAYS.items()}
        rows = stack.enter_context(open(folder / "rows.jsonl", "wb"))
        for example in examples:
            _mark(arrays, rows.tell())
            arrays["inputs"].extend(example.inputs)
            arrays["targets"].extend(example.targets)
            rows.write(json.dumps(example.row, ensure_ascii=False).encode() + b"\n")
            count += 1
            max_input = max(max_input, len(example.inputs))
            max_target = max(max_target, len(example.targets))
            if len(texts) <= MAX_LABELS:
                texts.add(example.row["targets"])
        _mark(arrays, rows.tell())
        totals = {f"{name[:-1]}_tokens": arrays[name].length for name in ("inputs", "targets")}
    labels = sorted(texts) if len(texts) <= MAX_LABELS else None
    return {"examples": count, "max_input": max_input, "max_target": max_target, **totals, "labels": labels}


def _mark(arrays: dict[str, _Array], row_position: int) -> None:
    """Notes where the next example begins, in every file."""
    arrays["input_offsets"].extend([arrays["inputs"].length])
    arrays["target_offsets"].extend([arrays["targets"].length])
    arrays["row_offsets"].extend([row_position])


def _write_manifest(folder: Path, facts: dict) -> None:
    manifest = {**facts, "sha256": {name: sha256(folder / name) for name in FILES}}
    manifest["manifest_sha256"] = seal(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _sync(*paths: Path) -> None:
    """Forces files, and folders' lists of names, to disk: a rename must not get there before what it renames."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _as_user_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "free some space there, or set PTUNE_CACHE to another folder"
        raise UserError(f"cannot write {folder}: {error.strerror or error}", hint) from error
