"""Files that are either whole or absent: written beside their place, then renamed onto it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ptune_cli.errors import UserError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, to be written in the body; it becomes `path` when the body ends well.

    The folder is made if needed. An OSError (no permission, disk full) is raised as a UserError that names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}", "check the disk's free space and your rights"
        ) from error
    finally:
        with suppress(OSError):  # already renamed, or never made
            temporary.unlink()


def write_atomically(path: str | Path, data: bytes) -> None:
    """Writes `data` to `path`: a reader, or a run killed half-way, sees the old file or the new one, never a part.

    Raises UserError where the folder cannot be written or the disk is full.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # a rename can reach the disk before the data does
