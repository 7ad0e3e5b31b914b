"""Files are whole or absent, however their writing ends."""

import errno
import os

import pytest

from ptune_cli.errors import UserError
from ptune_cli.formats.atomic import replacing, write_atomically


def test_a_file_is_written_and_replaced_with_nothing_left_beside_it(tmp_path):
    for data in (b"first", b"second"):
        write_atomically(tmp_path / "new" / "file", data)
        assert (tmp_path / "new" / "file").read_bytes() == data
    assert os.listdir(tmp_path / "new") == ["file"]


@pytest.mark.parametrize(
    "fault, seen",
    [(OSError(errno.ENOSPC, "No space left on device"), UserError), (KeyboardInterrupt(), KeyboardInterrupt)],
    ids=["full disk", "interrupt"],
)
def test_writing_that_fails_half_way_leaves_the_old_file(fault, seen, tmp_path):
    write_atomically(tmp_path / "file", b"old")
    with pytest.raises(seen) as caught, replacing(tmp_path / "file") as temporary:
        temporary.write_bytes(b"half")
        raise fault
    assert seen is not UserError or f"cannot write {tmp_path / 'file'}: No space left on device" in str(caught.value)
    assert (tmp_path / "file").read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_atomically(tmp_path / "file" / "folder" / "file", b"")
