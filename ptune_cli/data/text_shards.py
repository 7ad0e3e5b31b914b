"""Documents dealt at random over shards on disk, then shuffled shard by shard: memory holds one shard, not the whole text."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ptune_cli.data.growing import GrowingArray

BUFFER = 8 * 2**20  # bytes of ids that wait in memory before they are appended to their shards


def deal(documents: Iterable[np.ndarray], folder: Path, shards: int) -> None:
    """Appends each document's ids to a shard in `folder`, chosen by the document's number alone."""
    choice = np.random.default_rng(0)
    waiting: dict[int, list[bytes]] = defaultdict(list)
    size = 0
    for document in documents:
        waiting[int(choice.integers(shards))].append(document.tobytes())
        size += document.nbytes
        if size >= BUFFER:
            _append(waiting, folder)
            waiting.clear()
            size = 0
    _append(waiting, folder)


def gather(folder: Path, shards: int, dtype: np.typing.DTypeLike, end: int) -> tuple[int, int]:
    """Shuffles the documents of each shard and makes `ids.npy` and `starts.npy` of all. Returns (documents, tokens).

    A document ends with the id `end`, which is nowhere else. Shards are removed once they are in.
    """
    ids = GrowingArray(folder / "ids.npy", dtype)
    starts = GrowingArray(folder / "starts.npy", np.int64)
    starts.append(0)
    for shard in range(shards):
        if (file := _file(folder, shard)).exists():
            for document in _shuffled(np.fromfile(file, dtype), end, np.random.default_rng(shard)):
                ids.extend(document)
                starts.append(ids.length)
            file.unlink()
    documents, tokens = starts.length - 1, ids.length
    ids.close()
    starts.close()
    return documents, tokens


def _append(waiting: dict[int, list[bytes]], folder: Path) -> None:
    for shard, documents in waiting.items():
        with open(_file(folder, shard), "ab") as file:
            file.writelines(documents)


def _shuffled(ids: np.ndarray, end: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The documents in another order."""
    ends = np.flatnonzero(ids == end) + 1
    starts = np.concatenate([[0], ends[:-1]])
    for i in rng.permutation(len(ends)):
        yield ids[starts[i] : ends[i]]


def _file(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard}"
