"""Reads the tensors of a `pytorch_model.bin` without torch and without running its pickle: a zip file of stored members."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.lib.stride_tricks import as_strided

from ptune_cli.errors import UserError
from ptune_cli.formats.strict import damaged
from ptune_cli.formats.torch_pickle import state_dict
from ptune_cli.formats.torch_views import Forbidden, View

LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")  # what torch before 1.6 began a file with: a pickled magic number
MEMBERS = 100_000  # T5 of 11 billion parameters has some 1,000
LARGEST_PICKLE = 4 * 2**20  # bytes; that of T5 with 11 billion parameters has some 100,000
HEADER = 30  # bytes of a member's own header before its name
SAFER = "load it with `transformers` and save it with save_pretrained(folder, safe_serialization=True)"

Part = Callable[[tuple[slice, ...]], np.ndarray]


def tensors(file: Path) -> Iterator[tuple[str, View, Part]]:
    """Each tensor of a state dict: its name, what it is, and a function that reads parts of it, a copy each.

    Raises UserError for a file that is damaged, of torch's format before 1.6, or asks for code to be run.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, file.stat().st_size)
            root, pickle = _pickle(archive, members)
            views = state_dict(pickle)
            starts = {view.key: _start(file, members[f"{root}data/{view.key}"], view) for view in views.values()}
    except Forbidden as error:
        raise UserError(f"{file} asks for {error.name}, which a model's weights do not need: it may run code", SAFER) from error
    except UserError:
        raise
    except Exception as error:  # zipfile, of a damaged file, has as many ways to fail as it has fields
        raise _unreadable(file, error) from error
    return ((name, view, _reading(file, view, starts[view.key])) for name, view in views.items())


def _unreadable(file: Path, error: Exception) -> UserError:
    try:
        with open(file, "rb") as opened:
            legacy = opened.read(len(LEGACY)) == LEGACY
    except OSError:
        legacy = False
    if not legacy:
        return damaged(file, error)
    hint = f"with any later torch: torch.save(torch.load(FILE, map_location='cpu'), FILE), or {SAFER}"
    return UserError(f"{file} is of the format that torch wrote before 1.6, which cannot be read without running it", hint)


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, once it is sure that each is stored as it is, within the file, and there once."""
    members = archive.infolist()
    if len(members) > MEMBERS:
        raise ValueError(f"{len(members)} members, expected no more than {MEMBERS}")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size or member.flag_bits & 1:
            raise ValueError(f"its member {member.filename[:80]!r} is compressed or encrypted, which torch never does")
        if member.header_offset + HEADER + member.file_size > size:
            raise ValueError(f"its member {member.filename[:80]!r} is longer than the file")
    found = {member.filename: member for member in members}
    if len(found) < len(members):
        raise ValueError("two members of one name")
    return found


def _pickle(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> tuple[str, bytes]:
    """The folder of the members, with its slash, and the pickle in it."""
    roots = [name.removesuffix("data.pkl") for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise ValueError("it is a zip file, but not one that torch.save wrote")
    root = roots[0]
    if members[f"{root}data.pkl"].file_size > LARGEST_PICKLE:
        raise ValueError(f"a pickle of more than {LARGEST_PICKLE} bytes")
    if f"{root}byteorder" in members and archive.read(f"{root}byteorder")[:6] != b"little":
        raise ValueError("its numbers are big-endian")
    return root, archive.read(f"{root}data.pkl")


def _start(file: Path, member: zipfile.ZipInfo, view: View) -> int:
    """Where in the file the numbers of a storage begin."""
    if member.file_size != view.stored * _dtype(view).itemsize:
        raise ValueError(f"storage {view.key[:80]} has {member.file_size} bytes, expected {view.stored} of {view.dtype}")
    with open(file, "rb") as opened:
        opened.seek(member.header_offset)
        header = opened.read(HEADER)
    start = member.header_offset + HEADER + sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    if header[:4] != b"PK\x03\x04" or start + member.file_size > file.stat().st_size:
        raise ValueError(f"storage {view.key[:80]} is not where the file's list has it")
    return start


def _reading(file: Path, view: View, start: int) -> Part:
    def read(index: tuple[slice, ...]) -> np.ndarray:
        dtype = _dtype(view)
        if not view.stored:  # which cannot be mapped
            return np.zeros(view.shape, dtype)[index]
        try:
            storage = np.memmap(file, dtype, "r", start, (view.stored,))
        except OSError as error:
            raise damaged(file, error) from error
        strides = [stride * dtype.itemsize for stride in view.strides]
        return np.array(as_strided(storage[view.offset :], view.shape, strides, writeable=False)[index])

    return read


def _dtype(view: View) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if view.dtype == "bfloat16" else view.dtype)
