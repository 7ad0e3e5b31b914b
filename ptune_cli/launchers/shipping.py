"""The user's own gin files, which have to go along to another machine; those that ship with ptune are there already."""

import re
from collections.abc import Sequence
from pathlib import Path

from ptune_cli.errors import UserError

_NAMED = re.compile(r"[^\s,'\"=()\[\]]+\.gin\b")  # as in runs/a.gin; ('a.gin', 'b.gin'); --gin=a.gin; gin=a.gin b.gin
_INCLUDE = re.compile(r"^include\s+['\"](.+)['\"]", re.MULTILINE)


def gin_files(command: Sequence[str]) -> dict[str, str]:
    """Path -> text of each gin file in this folder that the command names, in whatever flag, and of what those include.

    UserError for a file elsewhere: its path would mean nothing on the other machine.
    """
    found: dict[str, str] = {}
    waiting = [name for argument in command for name in _NAMED.findall(argument)]
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
