"""Settings read without importing what they are of are those that gin builds."""

from pathlib import Path

import pytest

from ptune_cli import config
from ptune_cli.commands.train import Train
from ptune_cli.config import settings
from ptune_cli.errors import UserError

TRAIN = "ptune_cli.commands.train.Train"
HEAD = "from __gin__ import dynamic_registration\nfrom nowhere import run\nfrom nowhere.deep import parts as other\n"


@pytest.fixture
def read(tmp_path):
    """Settings of nowhere.run.Run in a file with these lines; there is no such module."""

    def read(text: str) -> dict:
        (tmp_path / "run.gin").write_text(HEAD + text)
        return settings.of_file(str(tmp_path / "run.gin"), "nowhere.run.Run")

    return read


def plain(value):
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    return value if value is None or isinstance(value, bool | int | float | str) else type(value).__name__


@pytest.mark.parametrize("name", ["runs/demo.gin", "runs/lester2021.gin", "runs/reference_repo.gin", "runs/ranked_demo.gin"])
def test_a_run_file_is_read_as_gin_reads_it(name, tmp_path):
    built = config.resolve(Train, [name])
    stated = {row.name: plain(row.value) for row in built.rows if row.origin != "default"}
    assert settings.of_file(name, TRAIN) == stated
    (tmp_path / "config.gin").write_text(built.text)
    whole = settings.of_file(str(tmp_path / "config.gin"), TRAIN)
    unsaved = ("template", "target_template", "processes", "mesh", "offline", "json")
    assert whole == {row.name: plain(row.value) for row in built.rows if row.name.partition(".")[0] not in unsaved}


def test_macros_blocks_lists_and_includes_are_followed(read, tmp_path):
    (tmp_path / "more.gin").write_text("from nowhere import run\nrun.Run.steps = 1\nrun.Run.seed = 2\n")
    text = f"""
include "{tmp_path}/more.gin"
N = 7
run.Run:
  steps = %N
  parts = (@other.A(), @other.B())
other.A.x = 1
other.B.x = 2.5
"""
    assert read(text) == {"steps": 7, "seed": 2, "parts": ("A", "B"), "parts.0.x": 1, "parts.1.x": 2.5}


def test_the_innermost_scope_wins(read):
    found = read("run.Run.a = @one/other.A()\nrun.Run.b = @other.A()\none/other.A.x = 1\nother.A.x = 2\nother.A.y = 3\n")
    assert found == {"a": "A", "a.x": 1, "a.y": 3, "b": "A", "b.x": 2, "b.y": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("other.A.x = 1\n", "sets nothing of run.Run"),
        ("run.Run.steps = 1\nother.A.x = 1\n", "sets parts.A.x, and no object in it has it; bind @parts.A()"),
        ("run.Run.a = @other.A()\nother.A.a = @other.A()\n", "leads back to itself"),
        ("run.Run.a = %N\n", "%N is not defined"),
        ("run.Run.a = (\n", "a bracket or a quote is not closed"),
        ("run.Run.a = 1\ninclude 'no.gin'\n", "no gin file 'no.gin'"),
    ],
)
def test_what_cannot_be_read_is_a_mistake(read, text, message):
    with pytest.raises(UserError) as error:
        read(text)
    assert message in str(error.value)


def test_a_file_that_includes_itself_is_a_mistake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.gin").write_text("include 'run.gin'\n")
    with pytest.raises(UserError, match="run.gin includes itself"):
        settings.of_file("run.gin", "nowhere.run.Run")
