"""Where the rows of a split come from: what tells whether two splits, of whatever tasks, have rows in common."""

from pathlib import Path

from ptune_cli.data import file_splits
from ptune_cli.data.fingerprint import check_split, locate
from ptune_cli.file_task import FileTask
from tasks import catalog


def origin(task: str, split: str) -> str:
    """The dataset's own name of the split, or the file that has its rows.

    Raises UserError: no such task or split, or no such file.
    """
    if own := FileTask.parse(task):
        parts = file_splits.splits(own)
        check_split(task, split, tuple(parts))
        return str(parts[split].file.resolve())
    task, split = locate(task, split)
    entry = catalog.lookup(task)
    if split in entry.data_files:
        return str(Path(catalog.__file__).parent / entry.data_files[split])
    return f"{entry.source or task} {entry.splits.get(split, split)}"
