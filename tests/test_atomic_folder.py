"""New folders: whole or absent, also after a kill, and what a kill leaves is cleared away by the next call."""

import errno
import fcntl
import signal
import subprocess

import pytest
from processes import python

from ptune_cli.errors import UserError
from ptune_cli.formats.atomic_folder import new_folder

HOLDING = """
    import sys, time
    from pathlib import Path
    from ptune_cli.formats.atomic_folder import new_folder
    with new_folder(Path(sys.argv[1])) as folder:
        (folder / "half").write_text("of it")
        print("begun", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def holding(tmp_path):
    """A process that has half filled `model`, until it is killed or its standard input ends."""
    with python(HOLDING, tmp_path / "model", stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == "begun\n"
        yield process


def test_it_appears_when_the_body_ends(tmp_path):
    with new_folder(tmp_path / "a" / "model") as folder:
        (folder / "file").write_text("all of it")
        assert not (tmp_path / "a" / "model").exists() and folder.parent == tmp_path / "a"
    assert [path.relative_to(tmp_path / "a").as_posix() for path in (tmp_path / "a").rglob("*")] == ["model", "model/file"]


def test_nothing_is_left_of_a_body_that_fails(tmp_path):
    with pytest.raises(KeyError), new_folder(tmp_path / "model") as folder:
        (folder / "file").write_text("half of it")
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_kill_leaves_no_folder_and_the_next_call_clears_what_it_left(holding, tmp_path):
    holding.send_signal(signal.SIGKILL)
    holding.communicate()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".model.") and (left / "half").is_file()
    with new_folder(tmp_path / "model"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_another_process_is_writing_is_left_alone_and_the_first_to_end_wins(holding, tmp_path):
    with new_folder(tmp_path / "model") as folder:
        (folder / "file").write_text("all of it")
    assert len(list(tmp_path.iterdir())) == 2
    _, errors = holding.communicate("\n")
    assert f"UserError: cannot write {tmp_path / 'model'}: made by another program meanwhile" in errors
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "file"]


def test_where_folders_cannot_be_locked_a_leftover_stays_and_a_new_one_is_made(monkeypatch, tmp_path):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / ".model.0123.partial").mkdir()
    with new_folder(tmp_path / "model"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.0123.partial", "model"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*file/model: File exists"), new_folder(tmp_path / "file" / "model"):
        pass
