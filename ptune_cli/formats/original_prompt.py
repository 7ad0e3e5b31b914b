"""The prompts that the original code writes beside its checkpoints: NumPy files, named as the parameter and without a suffix.

    MODEL_DIR/numpy_checkpoints/checkpoint_STEP/encoder.prompt.prompt.prompt

Its step counts on from the checkpoint that training started from: 1,100,000 for the LM-adapted T5s.
"""

import re
from pathlib import Path

from ptune_cli.errors import UserError

NAME = "encoder.prompt.prompt.prompt"
STEPS = "numpy_checkpoints"
STEP = re.compile(r"checkpoint_(\d+)")
OTHERS = re.compile(r"(encoder|decoder)\..*prompt.*")
# What the other parameters are that its extensions name so.
KINDS = {
    "shared_prompt": "the part of a multi-task prompt that all tasks share",
    "task_prompts": "the part of a multi-task prompt that each task has of its own",
    "layers": "a prompt of every layer",
    "decoder.": "a prompt of the decoder",
}


def find(path: Path) -> Path | None:
    """The prompt's file in a model's folder, its `numpy_checkpoints`, of the last step, or a step's folder; None where none is.

    UserError where the step has prompts of another kind: per layer, multi-task, of the decoder.
    """
    for steps in (path / STEPS, path):
        if found := [folder for folder in steps.glob("checkpoint_*") if STEP.fullmatch(folder.name) and _names(folder)]:
            return _of_step(max(found, key=lambda folder: int(folder.name.removeprefix("checkpoint_"))))
    return _of_step(path) if _names(path) else None


def check_name(file: Path) -> None:
    """UserError for a file that its name calls a prompt of another kind, or that is but a part of one."""
    if file.name != NAME and OTHERS.fullmatch(file.name):
        raise UserError(f"{file} is {_kind(file.name)}", "only prompts in front of the encoder's input can be used")
    if file.name == NAME:
        _of_step(file.parent)


def inside(folder: Path, step: int) -> Path:
    """Where the original code would write the prompt of a step in the folder of a model."""
    return folder / STEPS / f"checkpoint_{step}" / NAME


def _of_step(folder: Path) -> Path:
    if others := sorted(set(_names(folder)) - {NAME}):
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        message = f"{folder} has {others[0]}{more}, {_kind(others[0])}"
        raise UserError(message, f"only prompts in front of the encoder's input can be used: {NAME} alone")
    return folder / NAME


def _names(folder: Path) -> list[str]:
    return [file.name for file in folder.glob("*coder.*") if OTHERS.fullmatch(file.name)] if folder.is_dir() else []


def _kind(name: str) -> str:
    return next((said for part, said in KINDS.items() if part in name), "a prompt of another kind")
