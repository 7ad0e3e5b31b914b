"""Folders that are either whole or absent: written beside their place, then renamed onto it."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ptune_cli.errors import UserError

HINT = "check the disk's free space and your rights"


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, to be filled in the body; when that ends well, it becomes `path`, which must not exist.

    Otherwise it is removed. Of a process that was killed it stays, as `.NAME.*.partial`, until the next call for the same path,
    which removes it: a living process holds a lock on its own. An OSError of making or renaming it is raised as a UserError.
    """
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        lock = _lock(temporary)
    try:
        yield temporary
        with _naming(path):
            if path.exists():
                raise FileExistsError(None, "made by another program meanwhile")
            _sync(temporary)
            temporary.rename(path)
            _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # already renamed, unless the body failed
        os.close(lock)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}", HINT) from error


def _lock(folder: Path) -> int:
    """Locks the folder itself, for as long as the descriptor is open: no process outlives its lock. BlockingIOError if taken."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        raise
    return opened


def _remove_leftovers(path: Path) -> None:
    for leftover in path.parent.glob(f".{path.name}.*.partial"):
        with suppress(OSError):  # held by a living process, or not ours to remove
            lock = _lock(leftover)
            shutil.rmtree(leftover, ignore_errors=True)
            os.close(lock)


def _sync(folder: Path) -> None:
    """What is in a folder is known to the disk: a rename can reach it before that."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
