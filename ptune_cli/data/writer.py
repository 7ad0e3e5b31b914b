"""Writes a prepared split: one example at a time, and under its final name only once all of it is on disk."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from ptune_cli.data.fingerprint import FORMAT, sha256
from ptune_cli.data.partial import PROGRESS, Example, PartialSplit
from ptune_cli.data.prepared import FILES, seal
from ptune_cli.errors import UserError

REPORT_EVERY = 500

Report = Callable[[int], None]


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


def write(folder: Path, shards: Sequence[Iterable[Example]], facts: Mapping, report: Report = lambda done: None) -> int:
    """Writes the examples of all `shards`, and `facts` in the manifest, as `folder`. Returns how many examples there are.

    `facts` are task, split, fingerprint, vocabulary_sha256, postprocess, metrics, headline and any other; without
    `labels`, those are the distinct target texts, sorted, or None if there are more than MAX_LABELS; without `targets_end`,
    every target ends in end of sequence.
    Memory does not grow with the number of examples. The caller holds `locked(folder)`, so what an earlier process left
    half-way is taken up: shards that it finished, from the same facts, are not iterated over again. `report` is called
    with the number of examples written, now and then.

    Raises:
        UserError: the disk is full, not writable, or there is no example.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    with _as_user_error(folder):
        try:
            found = _write_examples(partial, shards, facts, report)
            if not found["examples"]:
                raise UserError(f"task '{facts['task']}', split '{facts['split']}' has no example")
            _write_manifest(partial, {"format": FORMAT, "targets_end": True, **found, **facts})
            (partial / PROGRESS).unlink(missing_ok=True)
            _sync(*partial.iterdir(), partial)
            partial.rename(folder)
            _sync(folder.parent)
        except BaseException:
            if not (partial / PROGRESS).exists():
                shutil.rmtree(partial, ignore_errors=True)
            raise
    return found["examples"]


def _write_examples(folder: Path, shards: Sequence[Iterable[Example]], facts: Mapping, report: Report) -> dict:
    """Writes everything but the manifest. Returns what it counted."""
    source = {"format": FORMAT, "of": len(shards), **facts}
    with contextlib.closing(PartialSplit(folder, source)) as split:
        if split.shards:
            report(split.examples)
        for shard in shards[split.shards :]:
            for example in shard:
                split.append(example)
                if split.examples % REPORT_EVERY == 0:
                    report(split.examples)
            if split.shards + 1 < len(shards):  # after the last one there is next to nothing left to lose
                split.finish_shard()
        return split.complete()


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
