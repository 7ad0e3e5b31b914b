"""A prepared split while it is written: examples are appended, and what a finished shard added stays if the process dies.

progress.json   how many shards are finished, what was counted by then, and how long each file was
"""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ptune_cli.data.growing import GrowingArray
from ptune_cli.data.prepared import ARRAYS, seal

MAX_LABELS = 20
PROGRESS = "progress.json"
NOTHING = {"shards": 0, "lengths": dict.fromkeys((*ARRAYS, "rows"), 0), "max_input": 0, "max_target": 0, "texts": []}


class Example(NamedTuple):
    """One example: token ids without end of sequence, and its row: `inputs`, `targets` and other fields that JSON can hold."""

    inputs: Sequence[int] | np.ndarray
    targets: Sequence[int] | np.ndarray
    row: Mapping


class PartialSplit:
    """The files of a split that is not complete yet. Memory does not grow with the number of examples.

    It goes on behind the last shard that was finished in `folder`, if that was made from the same `source`: all that
    decides the content of the shards and how many there are.
    """

    def __init__(self, folder: Path, source: Mapping):
        self._folder, self._source = folder, seal(dict(source))
        found = self._finished()
        if not found["shards"]:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self.shards: int = found["shards"]
        self._max_input, self._max_target, self._texts = found["max_input"], found["max_target"], set(found["texts"])
        lengths = found["lengths"]
        with contextlib.ExitStack() as files:
            self._arrays = {
                name: files.enter_context(contextlib.closing(GrowingArray(folder / f"{name}.npy", dtype, lengths[name])))
                for name, dtype in ARRAYS.items()
            }
            self._rows = files.enter_context(open(folder / "rows.jsonl", "r+b" if self.shards else "wb"))
            self._rows.truncate(lengths["rows"])
            self._rows.seek(lengths["rows"])
            self._files = files.pop_all()

    @property
    def examples(self) -> int:
        return self._arrays["row_offsets"].length

    def append(self, example: Example) -> None:
        """Adds one example to every file."""
        self._mark()
        self._arrays["inputs"].extend(example.inputs)
        self._arrays["targets"].extend(example.targets)
        self._rows.write(json.dumps(example.row, ensure_ascii=False).encode() + b"\n")
        self._max_input = max(self._max_input, len(example.inputs))
        self._max_target = max(self._max_target, len(example.targets))
        if len(self._texts) <= MAX_LABELS:
            self._texts.add(example.row["targets"])

    def finish_shard(self) -> None:
        """Notes on disk that another shard is complete, once it is."""
        self.shards += 1
        for array in self._arrays.values():
            array.sync()
        self._rows.flush()
        os.fsync(self._rows.fileno())
        lengths = {name: array.length for name, array in self._arrays.items()} | {"rows": self._rows.tell()}
        counts = {"max_input": self._max_input, "max_target": self._max_target, "texts": sorted(self._texts)}
        progress = {"source": self._source, "shards": self.shards, "lengths": lengths, **counts}
        written = self._folder / f"{PROGRESS}.new"
        written.write_text(json.dumps(progress), encoding="utf-8")
        os.replace(written, self._folder / PROGRESS)

    def complete(self) -> dict:
        """Ends the offsets and returns what was counted, for the manifest."""
        examples = self.examples
        self._mark()
        totals = {f"{name[:-1]}_tokens": self._arrays[name].length for name in ("inputs", "targets")}
        labels = sorted(self._texts) if len(self._texts) <= MAX_LABELS else None
        longest = {"max_input": self._max_input, "max_target": self._max_target}
        return {"examples": examples, **longest, **totals, "labels": labels}

    def close(self) -> None:
        self._files.close()

    def _mark(self) -> None:
        """Notes where the next example begins, in every file."""
        self._arrays["input_offsets"].append(self._arrays["inputs"].length)
        self._arrays["target_offsets"].append(self._arrays["targets"].length)
        self._arrays["row_offsets"].append(self._rows.tell())

    def _finished(self) -> dict[str, Any]:
        """What `finish_shard` last noted in the folder; nothing if that was of another source, or a file is too short."""
        try:
            progress = json.loads((self._folder / PROGRESS).read_bytes())
            sizes = {name: (self._folder / f"{name}.npy").stat().st_size // np.dtype(d).itemsize for name, d in ARRAYS.items()}
            sizes["rows"] = (self._folder / "rows.jsonl").stat().st_size
        except (FileNotFoundError, ValueError):
            return NOTHING
        whole = progress["source"] == self._source and all(progress["lengths"][name] <= size for name, size in sizes.items())
        return progress if whole else NOTHING
