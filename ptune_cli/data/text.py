"""Plain text for pre-training: a file with one document per line, tokenised once into one flat array.

No seqio here: sentencepiece on 100 MB of text takes a minute, and a training window is then a slice of a memory-mapped
array, chosen by (seed, step, row) alone.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError


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
    digest = hashlib.sha256(vocabulary.sha256.encode())
    with source.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    folder = cache / f"text-{source.stem}-{digest.hexdigest()[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "manifest.json").is_file():
            _tokenize(source, vocabulary, folder)
    return Text(np.load(folder / "ids.npy", mmap_mode="r"), np.load(folder / "starts.npy"))


def _tokenize(source: Path, vocabulary: Vocabulary, folder: Path) -> None:
    temporary = folder.with_name(folder.name + ".partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    lines = source.read_text(encoding="utf-8").splitlines()
    dtype = np.uint16 if vocabulary.size <= 2**16 else np.int32  # mT5 has 250,000 ids
    documents = [np.array([*vocabulary.encode(line), vocabulary.eos_id], dtype) for line in lines if line.strip()]
    if not documents:
        raise UserError(f"no text in '{source}'", "one document per line, UTF-8")
    # Neighbours in a file are about one thing (a chapter, a branch of a dictionary); shuffled, a window that crosses
    # from one document to the next learns nothing from the crossing.
    documents = [documents[i] for i in np.random.default_rng(0).permutation(len(documents))]
    np.save(temporary / "ids.npy", np.concatenate(documents))
    np.save(temporary / "starts.npy", np.cumsum([0] + [len(document) for document in documents]))
    manifest = {"documents": len(documents), "tokens": sum(map(len, documents)), "vocabulary": vocabulary.sha256}
    (temporary / "manifest.json").write_text(json.dumps(manifest))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)
