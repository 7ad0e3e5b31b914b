"""Where prompts are: in runs, in folders of their own, as files, as PEFT adapters, beside the original code's checkpoints.

JAX is not needed, so it is quick.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ptune_cli.errors import UserError, nearest_path
from ptune_cli.formats import original_prompt, peft
from ptune_cli.formats.prompt import BARE, OWN

SUFFIXES = (".npy", ".safetensors")


def is_prompt(path: str | Path) -> bool:
    """Whether `path` is taken for a prompt, or a run of them, by whoever takes models as well: a file, but not a model's folder.

    A folder with the original code's checkpoints, which holds both, is one of a model.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return True
    if not place.is_dir() or (place / "config.json").is_file():
        return False
    if any((place / name).exists() for name in (peft.CONFIG, OWN, BARE, original_prompt.NAME, "prompts", "run.json")):
        return True
    return not any(place.glob("checkpoint_*")) and original_prompt.find(place) is not None


def each(path: str | Path) -> list[Path]:
    """The prompts of a run, or the one at `path`. UserError for a run without any, and for nothing."""
    place = Path(path).expanduser()
    if not place.exists():
        raise UserError(f"no run or prompt at '{path}'", nearest_path(place))
    members = sorted((place / "prompts").glob("*/"))
    if (place / "run.json").is_file() and not members:
        raise UserError(f"the run {path} has no prompts", "run its `ptune train` command again to go on with it")
    return members or [place]


def one(path: str | Path) -> Path:
    """The prompt at `path`, or the only one of a run. UserError for a run of several or of none, and for nothing."""
    found = each(path)
    if len(found) > 1:
        raise UserError(f"the run {path} has {len(found)} prompts", f"name one, such as {found[0]}")
    return found[0]


def below(folder: Path) -> Iterator[Path]:
    """Every place below `folder` that may be a prompt, in the order of their paths; links and hidden folders are left out.

    A folder's `prompt.safetensors` and `prompt.npy` are one prompt; a NumPy or safetensors file of another name is one alone.
    """
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        place = Path(path)
        if peft.CONFIG in files:
            yield place
            continue
        if original_prompt.NAME in files or OWN in files or BARE in files:
            yield place
        others = (name for name in sorted(files) if name.endswith(SUFFIXES) and name not in (OWN, BARE))
        yield from (place / name for name in others)
