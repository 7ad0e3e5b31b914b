"""The user's own gin files, which have to go along to another machine; those that ship with ptune are there already."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ptune_cli.errors import UserError

_INCLUDE = re.compile(r"^include\s+['\"](.+)['\"]", re.MULTILINE)


def gin_files(command: Sequence[str]) -> dict[str, str]:
    """Path -> text of each file in this folder that the command reads with --gin, and of what those include.

    UserError for a file elsewhere: its path would mean nothing on the other machine.
    """
    found: dict[str, str] = {}
    waiting = [name for name in _named(command)]
    while waiting:
        name = waiting.pop()
        path = Path(name)
        if name in found or not path.is_file():
            continue
        if path.is_absolute() or ".." in path.parts:
            raise UserError(
                f"'{name}' is outside this folder", "a gin file that goes to another machine is given relative to this folder"
            )
        found[name] = path.read_text()
        waiting += _INCLUDE.findall(found[name])
    return found


def _named(command: Sequence[str]) -> Iterator[str]:
    for i, argument in enumerate(command):
        flag, equals, value = argument.partition("=")
        if flag.replace("-", "_") in ("__gin", "__gin_file"):
            yield value if equals else "".join(command[i + 1 : i + 2])
