"""Folders that are either whole or absent: written beside their place, then renamed onto it."""

import fcntl
import glob
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
    which removes it: a living process holds a lock on its own. Where the file system has no locks, it is left to its owner. An
    OSError of making or renaming it is raised as a UserError.
    """
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
    try:
        with _locked(temporary):
            yield temporary
            with _naming(path):
                if path.exists():
                    raise FileExistsError(None, "made by another program meanwhile")
                _sync(temporary)
                temporary.rename(path)
                _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # already renamed, unless the body failed


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}", HINT) from error


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Locks the folder itself: no process outlives its lock. Yields whether that went, which it does not where one is held."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _lock(opened)
    finally:
        os.close(opened)


def _lock(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False


def _remove_leftovers(path: Path) -> None:
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with suppress(OSError), _locked(leftover) as unused:  # an OSError: gone meanwhile, or not ours to remove
            if unused:
                shutil.rmtree(leftover, ignore_errors=True)


def _sync(folder: Path) -> None:
    """What is in a folder is known to the disk: a rename can reach it before that."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
