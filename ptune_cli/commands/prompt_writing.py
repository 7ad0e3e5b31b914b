"""Writes a new prompt in one of the formats that prompts come in: whole or not at all, and where nothing was before."""

from collections.abc import Callable
from pathlib import Path

from ptune_cli import shipped
from ptune_cli.errors import UserError
from ptune_cli.formats import original_prompt, peft, prompt
from ptune_cli.formats.atomic_folder import new_folder
from ptune_cli.formats.prompt import PromptFile


def check_new(destination: Path) -> None:
    """UserError where there is something already."""
    if destination.exists() or destination.is_symlink():
        raise UserError(f"{destination} exists", "give a new path, or remove it first")


def write_own(destination: Path, found: PromptFile) -> None:
    """Write ptune's format: a file NAME.safetensors, or a folder with prompt.safetensors and prompt.npy."""
    if destination.suffix == ".safetensors":
        prompt.write_safetensors(destination, found)
    else:
        with new_folder(destination) as folder:
            prompt.write(folder, found)


def _write_original(destination: Path, found: PromptFile) -> None:
    if destination.name == original_prompt.NAME:
        prompt.write_numpy(destination, found)
    else:
        with new_folder(destination) as folder:
            prompt.write_numpy(original_prompt.inside(folder, _step(found)), found)


def _write_peft(destination: Path, found: PromptFile) -> None:
    with new_folder(destination) as folder:
        peft.write(folder, found.array, found.metadata, _peft_name(found))


def _peft_name(found: PromptFile) -> str | None:
    """What PEFT is to find the base model by. Of a model that ships the folder: its bare name would be another's on the Hub."""
    name = found.metadata.get("base_model")
    return str(shipped.ASSETS / name) if name in shipped.names() else name


def _step(found: PromptFile) -> int:
    step = found.metadata.get("step", 0)
    return step if type(step) is int and step >= 0 else 0  # it becomes a part of a path


WRITERS: dict[str, Callable[[Path, PromptFile], None]] = {
    "ptune": write_own,
    "npy": prompt.write_numpy,
    "original": _write_original,
    "peft": _write_peft,
}
FORMATS = tuple(WRITERS)
