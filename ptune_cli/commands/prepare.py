"""`ptune prepare`: turn tasks into token arrays, ahead of training."""

import json
from dataclasses import dataclass, field

from ptune_cli.base_model import BaseModel
from ptune_cli.data.fingerprint import splits_of
from ptune_cli.data.preparation import ensure


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """Prepare tasks for a model's vocabulary. `ptune train` does this by itself; here it is a step of its own.

    Example: ptune prepare gloss_topic --model.checkpoint tiny
    """

    tasks: tuple[str, ...] = field(metadata={"positional": True})  # names, file:PATH or module:task
    model: BaseModel = BaseModel(checkpoint="tiny")  # whose vocabulary is used
    splits: tuple[str, ...] = ()  # default: all that the task has
    data_dir: str | None = None  # where TFDS keeps and downloads datasets; default: $TFDS_DATA_DIR or ~/tensorflow_datasets
    offline: bool = False  # download nothing
    json: bool = field(default=False, metadata={"saved": False})  # print the result as JSON

    def run(self) -> None:
        """Prepare what is missing; say where it all is."""
        wanted = [(task, split) for task in self.tasks for split in self.splits or splits_of(task)]
        prepared = ensure(wanted, self.model.load_vocabulary(), data_dir=self.data_dir, offline=self.offline)
        rows = [
            {"task": task, "split": split, "examples": len(found), "folder": str(found.folder)}
            for (task, split), found in zip(wanted, prepared, strict=True)
        ]
        if self.json:
            print(json.dumps(rows, indent=2))
            return
        for row in rows:
            print(f"{row['task']} {row['split']}: {row['examples']} examples in {row['folder']}")
