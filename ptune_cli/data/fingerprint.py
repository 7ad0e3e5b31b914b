"""What a prepared split is made from, as one hash: the same hash, the same content.

Neither TensorFlow nor the task's module is imported, and no path of this machine goes in, so an entry prepared on one
machine is found on another.
"""

import dataclasses
import hashlib
import json
from pathlib import Path

from ptune_cli.data import file_splits
from ptune_cli.data.sources import literal_files, source_files
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError, nearest
from ptune_cli.file_task import FileTask
from tasks import catalog

FORMAT = "ptune-prepared-3"
READER = 1  # of a user's own files: what `data.files` makes of the same file


def splits_of(task: str) -> tuple[str, ...]:
    """The splits of a task; of a user's own, which says them only once TensorFlow has imported it, the usual two.

    Raises UserError: no such task.
    """
    return tuple(_entry(task).splits) or ("train", "validation")


def resolve(task: str, split: str) -> catalog.Entry:
    """The catalog's entry of a task; for "module:task" and "file:PATH", one made up from what the name says.

    Raises:
        UserError: no such task, or (for a task of the catalog) no such split.
    """
    entry = _entry(task)
    check_split(task, split, tuple(entry.splits) or (split,))  # those of a user's own task are known only once it is imported
    return entry


def locate(task: str, split: str) -> tuple[str, str]:
    """(task, split) under which a split is kept: full names, and those of the part where a task is put together from others.

    Raises UserError as `resolve`.
    """
    resolve(task, split)
    return catalog.locate(task, split)


def _entry(task: str) -> catalog.Entry:
    try:
        own = FileTask.parse(task)
        if own is None:
            return catalog.lookup(task)
        return catalog.Entry(module="", splits={split: split for split in file_splits.splits(own)})
    except catalog.UnknownTask as error:
        hint = "name your own task as file:PATH or MODULE:TASK"
        raise UserError(f"no task '{task}'; {nearest(task, error.choices)}", hint) from None


def check_split(task: str, split: str, splits: tuple[str, ...]) -> None:
    """Raises UserError, with the nearest split, where a task has no such split."""
    if split not in splits:
        raise UserError(f"task '{task}' has no split '{split}'; {nearest(split, splits)}")


def fingerprint(task: str, split: str, vocabulary: Vocabulary) -> str:
    """Hash (hex) of all that decides a prepared split's content: entry, source code, data files, vocabulary, format.

    For a module of the user's own, the data files are those that it names in a string.

    Raises:
        UserError: as `resolve`; the module or a data file of the catalog is missing.
    """
    entry, own = resolve(task, split), FileTask.parse(task)
    content = _file_content(own, split) if own else _module_content(task, split, entry)
    parts = {"format": FORMAT, "split": split, "vocabulary": vocabulary.sha256, **content}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def sha256(file: Path) -> str:
    """The hash (hex) of a file's content. A file that cannot be read is a UserError."""
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error


def _module_content(task: str, split: str, entry: catalog.Entry) -> dict:
    sources = source_files(entry.module)
    return {
        "task": task,
        "entry": dataclasses.asdict(entry),
        "sources": {name: sha256(file) for name, file in sources.items()},
        "data": {name: sha256(file) for name, file in _data_files(task, split, entry, sources).items()},
    }


def _file_content(own: FileTask, split: str) -> dict:
    """The training file is part of every split: its targets are the labels."""
    parts = file_splits.splits(own)
    return {
        "reader": READER,
        "templates": [own.inputs, own.targets],
        "rows": parts[split].rows,
        "data": [(parts[name].file.suffix.lower(), sha256(parts[name].file)) for name in ("train", split)],
    }


def _data_files(task: str, split: str, entry: catalog.Entry, sources: dict[str, Path]) -> dict[str, Path]:
    if ":" not in task:
        names = [entry.data_files[split]] if split in entry.data_files else []
        return {name: Path(catalog.__file__).parent / name for name in names}
    found: dict[str, Path] = {}
    for file in sources.values():
        found |= literal_files(file)
    return found
