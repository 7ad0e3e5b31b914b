"""Plain text for pre-training: a file with one document per line, tokenised once into one flat array, in constant memory.

No seqio here: sentencepiece on 100 MB of text takes a minute, and a training window is then a slice of a memory-mapped
array, chosen by (seed, step, row) alone.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from ptune_cli.data import text_shards
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError

BYTES_A_SHARD = 64 * 2**20  # of text; its ids take about half as much
ORDER = 2  # of the documents: changed with what decides it


@dataclass(frozen=True)
class Text:
    """Token ids [N] of all documents, each ended by EOS, and where each document starts [documents + 1]."""

    ids: np.ndarray
    starts: np.ndarray

    def document(self, position: int) -> np.ndarray:
        """The document around a position of `ids`, its EOS included."""
        i = int(np.searchsorted(self.starts, position, side="right")) - 1
        return self.ids[self.starts[i] : self.starts[i + 1]]


def read(path: str, vocabulary: Vocabulary, cache: Path) -> Text:
    """The tokenised text of a file, from the cache when it was read before with the same vocabulary."""
    source = Path(path)
    if not source.is_file():
        raise UserError(f"no text file '{path}'", "one document per line, UTF-8; `make corpus` makes ours")
    digest = hashlib.sha256(f"{ORDER}{vocabulary.sha256}".encode())
    with source.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    folder = cache / f"text-{source.stem}-{digest.hexdigest()[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "manifest.json").is_file():
            _tokenize(source, vocabulary, folder)
    return Text(*(np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in ("ids", "starts")))


def _tokenize(source: Path, vocabulary: Vocabulary, folder: Path) -> None:
    temporary = folder.with_name(folder.name + ".partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    dtype = np.dtype(np.uint16 if vocabulary.size <= 2**16 else np.int32)  # mT5 has 250,000 ids
    shards = source.stat().st_size // BYTES_A_SHARD + 1
    # Neighbours in a file are about one thing (a chapter, a branch of a dictionary); shuffled, a window that crosses
    # from one document to the next learns nothing from the crossing.
    text_shards.deal(_documents(source, vocabulary, dtype), temporary, shards)
    documents, tokens = text_shards.gather(temporary, shards, dtype, vocabulary.eos_id)
    if not documents:
        raise UserError(f"no text in '{source}'", "one document per line, UTF-8")
    manifest = {"documents": documents, "tokens": tokens, "vocabulary": vocabulary.sha256}
    (temporary / "manifest.json").write_text(json.dumps(manifest))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)


def _documents(source: Path, vocabulary: Vocabulary, dtype: np.dtype) -> Iterator[np.ndarray]:
    with source.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield np.array([*vocabulary.encode(line.rstrip("\n")), vocabulary.eos_id], dtype)
