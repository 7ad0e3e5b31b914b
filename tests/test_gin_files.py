"""The gin files that ship: each builds, says what it is, and can be rebuilt from its resolved text."""

from pathlib import Path

import pytest

from ptune_cli import config
from ptune_cli.config import reading

GIN = Path(__file__).parent.parent / "gin"
GIN_FILES = sorted(path.relative_to(GIN).as_posix() for path in GIN.rglob("*.gin"))
# Of launch/ each needs a flag or two (test_launch_presets.py), of t5x/ T5X (test_t5x_runtime.py, test_t5x_programs.py).
BUILT = [name for name in GIN_FILES if not name.startswith(("launch/", "t5x/"))]


@pytest.mark.parametrize("name", BUILT)
def test_every_gin_file_builds(name, tmp_path):
    """What a run file configures is a command; any other file, classes that it configures whole. Every setting is used.

    A method is put on top of a run."""
    files = ["runs/ranked_demo.gin", name] if name.startswith("methods/") else [name]
    bindings = reading.Bindings([])
    bindings.read_file(name)
    commands = {cls for cls in bindings.classes() if cls.__module__.startswith("ptune_cli.commands.")}
    built = commands or bindings.classes()
    assert built
    for cls in built:
        resolved = config.resolve(cls, files)
        assert not (commands and resolved.unused)
        (tmp_path / "again.gin").write_text(resolved.text)
        assert config.load(cls, [str(tmp_path / "again.gin")]) == (resolved.object, resolved.text)


@pytest.mark.parametrize("name", GIN_FILES)
def test_every_gin_file_opens_with_a_comment_and_has_whole_references(name):
    text = (GIN / name).read_text()
    assert text.startswith("# ")
    if name.startswith("t5x/"):  # T5X takes functions too, which are not called where they are bound
        return
    code = "\n".join(line.partition("#")[0] for line in text.splitlines())
    assert code.count("@") == sum(reference.partition(")")[0].endswith("(") for reference in code.split("@")[1:])
