"""Which files, or which rows of one file, are the splits of a task that is a file of the user's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ptune_cli.errors import UserError, nearest, nearest_path
from ptune_cli.file_task import SUFFIXES, FileTask

NAMES = {"validation": ("validation", "valid", "dev"), "test": ("test",)}
EXPECTED = "expected .jsonl, .csv, .tsv or .parquet"


@dataclass(frozen=True)
class Part:
    """The rows of a split. Without a validation file, the training file's last tenth is that and the rest is trained on."""

    file: Path
    rows: Literal["all", "all but the last tenth", "the last tenth"] = "all"

    def bounds(self, rows: int) -> tuple[int, int]:
        """First row and end, in a file of so many rows. UserError if there are too few to carve a tenth off."""
        if self.rows == "all":
            return 0, rows
        if rows < 2:
            raise UserError(f"{self.file} has one row and no validation file beside it", "add rows, or a file validation.*")
        cut = rows - max(rows // 10, 1)
        return (0, cut) if self.rows == "all but the last tenth" else (cut, rows)


def splits(own: FileTask) -> dict[str, Part]:
    """Where each split is. UserError if there is no training file, or its format is not known."""
    path = Path(own.path).expanduser()
    if not own.path or not path.exists():
        raise UserError(f"no file or folder '{own.path}'; {nearest_path(path)}", EXPECTED)
    file = _training_file(path) if path.is_dir() else path
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(f"the data file '{file}' ends in '{file.suffix}'; {nearest(file.suffix, SUFFIXES)}", EXPECTED)
    suffixes = (file.suffix, *SUFFIXES) if path.is_dir() else (file.suffix,)
    others = {split: _first(file.parent, names, suffixes) for split, names in NAMES.items()}
    found = {split: Part(other) for split, other in others.items() if other and other != file}
    if "validation" in found:
        return {"train": Part(file), **found}
    return {"train": Part(file, "all but the last tenth"), "validation": Part(file, "the last tenth"), **found}


def _training_file(folder: Path) -> Path:
    found = [folder / f"train{suffix}" for suffix in SUFFIXES if (folder / f"train{suffix}").is_file()]
    if len(found) > 1:
        raise UserError(f"the folder '{folder}' has {' and '.join(file.name for file in found)}", "name one of them")
    if not found:
        names = [file.name for file in folder.iterdir() if file.is_file()]
        raise UserError(f"no train.jsonl, .csv, .tsv or .parquet in '{folder}'; {nearest('train.jsonl', names)}")
    return found[0]


def _first(folder: Path, names: tuple[str, ...], suffixes: tuple[str, ...]) -> Path | None:
    candidates = (folder / f"{name}{suffix}" for name in names for suffix in suffixes)
    return next((file for file in candidates if file.is_file()), None)
