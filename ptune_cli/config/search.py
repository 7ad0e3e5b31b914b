"""Where a gin file is looked for: the current folder, `--gin_search_paths`, PTUNE_GIN_PATH, the folder that ships with ptune.

The variable, of folders with colons between them, is for commands that start others, whose flags they make themselves.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from ptune_cli.errors import UserError, nearest

_PACKAGE = Path(__file__).resolve().parent.parent
# A wheel carries the files as ptune_cli/gin_files; a checkout has them in gin/, beside the package.
SHIPPED = _PACKAGE / "gin_files" if (_PACKAGE / "gin_files").is_dir() else _PACKAGE.parent / "gin"


def find(name: str, search_paths: Sequence[str], origin: str = "") -> Path:
    """The gin file that `name` means. `gin/runs/x.gin`, `runs/x.gin` and a path all work, in a checkout or from a wheel.

    Raises UserError with the nearest name; `origin` is the file and line of an include.
    """
    inherited = [folder for folder in os.environ.get("PTUNE_GIN_PATH", "").split(os.pathsep) if folder]
    folders = [Path(), *map(Path, (*search_paths, *inherited)), SHIPPED]
    candidates = [folder / name for folder in folders]
    if name.startswith("gin/"):
        candidates.append(SHIPPED / name.removeprefix("gin/"))
    for path in candidates:
        if path.is_file():
            return path
    given = name.removeprefix("gin/")
    parent = Path(given).parent
    near = [file for folder in folders for file in _gin_files(folder, parent)] or _gin_files(SHIPPED, Path("."), "**/*.gin")
    raise UserError(f"{origin}no gin file '{name}'", nearest(given, near))


def shown(path: Path) -> str:
    """A path as an error names it: relative when it is inside the current folder."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _gin_files(folder: Path, below: Path, pattern: str = "*.gin") -> list[str]:
    if below.is_absolute():
        return [str(file) for file in below.glob(pattern)] if folder == Path() else []
    return [file.relative_to(folder).as_posix() for file in (folder / below).glob(pattern)]
