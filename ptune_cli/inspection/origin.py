"""Where a trained prompt came from: its run's settings, its task's labels, the prompt it started as.

The run's own config.gin is read, never the copy of it in the prompt's file: gin files import code, and a prompt's file may
be a stranger's.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ptune_cli import config
from ptune_cli.base_model import Frozen
from ptune_cli.commands.prompt_tuning import first_prompt
from ptune_cli.commands.train import Train
from ptune_cli.commands.trained import Trained
from ptune_cli.data.fingerprint import locate, resolve
from ptune_cli.data.prepared import Prepared, find
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.file_task import shown
from tasks.postprocessors import bare


def labels_of(prompt: Trained, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The labels that a prompt's task has, of a user's own task as they were prepared; none for free text.

    Nothing is prepared for this. UserError if it is not known which they are.
    """
    task = prompt.member.task
    if not task:
        raise UserError(f"{prompt.path} does not say its task")
    run = _folder(prompt)
    split = settings(run).train_split if run else "train"
    if ":" not in task:  # the catalog knows, and preparation takes them from there
        return tuple(map(bare, resolve(task, split).labels or ()))  # a sentinel is no part of a class
    folder = find(*locate(task, split), vocabulary)
    if not folder.exists():
        raise UserError(f"the labels of {shown(task)} are known once it is prepared", "run its `ptune prepare` command")
    return Prepared.open(folder).labels or ()


def initial_prompt(prompt: Trained, frozen: Frozen) -> np.ndarray:
    """The prompt [P, D] float32 that training started from, drawn once more from the run's config.gin and the seed.

    UserError if the prompt is in no run's folder, or its task's labels are needed and not known.
    """
    run = _folder(prompt)
    if run is None:
        raise UserError(f"{prompt.path} is not in the folder of a run, whose config.gin says how prompts started")
    name = (prompt.path if prompt.path.is_dir() else prompt.path.parent).name
    members = {member.name: member for member in settings(run).bank()}
    if name not in members or members[name].prompt.length != len(prompt.file.array):
        raise UserError(f"{run / 'config.gin'} has no prompt {name} of {len(prompt.file.array)} rows")
    member = replace(members[name], task=prompt.member.task or members[name].task)  # the file's is found from every folder
    return np.asarray(first_prompt(member, labels_of(prompt, frozen.vocabulary), frozen))


def settings(run: Path) -> Train:
    """What a run was told to do. UserError if its config.gin cannot be read."""
    return config.load(Train, [str((run / "config.gin").absolute())])[0]


def _folder(prompt: Trained) -> Path | None:
    """The run's folder, if the prompt is still where its run wrote it."""
    folder = (prompt.path if prompt.path.is_dir() else prompt.path.parent).absolute()
    run = folder.parent.parent
    return run if folder.parent.name == "prompts" and (run / "config.gin").is_file() else None
