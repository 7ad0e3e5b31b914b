"""Turns the downloaded packages into the pre-training corpus: one passage a line, and what it is made of.

Run: python -m corpora.clean, after corpora.fetch
"""

import collections
import dataclasses
import hashlib
import json
import random
from typing import TextIO

from corpora.packages import TEXT
from corpora.passages import Passage, is_document
from corpora.sources import SOURCES, Source

# One group in a hundred is held out.
HELD_OUT = 100
SPLITS = ("train", "validation")


@dataclasses.dataclass
class Counts:
    """What one source gave; the model card quotes it."""

    documents: int = 0
    words: int = 0
    bytes: int = 0

    def add(self, text: str) -> None:
        self.documents += 1
        self.words += len(text.split())
        self.bytes += len(text.encode()) + 1


def main() -> None:
    documents: dict[str, list[str]] = {split: [] for split in SPLITS}
    counts = {source.name: _read(source, documents) for source in SOURCES}
    TEXT.mkdir(parents=True, exist_ok=True)
    for split, texts in documents.items():
        # Shuffled once here, so that a reader may take lines in order and any first part is a fair sample.
        random.Random(0).shuffle(texts)
        with (TEXT / f"{split}.txt").open("w", encoding="utf-8") as stream:
            _write(stream, texts)
    (TEXT / "sources.json").write_text(json.dumps([_entry(s, counts[s.name]) for s in SOURCES], indent=2) + "\n")
    _report(counts)


def _read(source: Source, documents: dict[str, list[str]]) -> dict[str, Counts]:
    """Adds the source's documents to the splits, each text once."""
    counts = {split: Counts() for split in SPLITS}
    seen: set[str] = set()
    for passage in source.read(source.package.path, source.inside):
        if is_document(passage.text) and passage.text not in seen:
            seen.add(passage.text)
            split = _split(passage)
            documents[split].append(passage.text)
            counts[split].add(passage.text)
    return counts


def _split(passage: Passage) -> str:
    """By hash, so that a passage stays where it is when other sources are added."""
    number = int.from_bytes(hashlib.sha256(passage.group.encode()).digest()[:8], "big")
    return "train" if number % HELD_OUT else "validation"


def _write(stream: TextIO, texts: list[str]) -> None:
    for text in texts:
        stream.write(text + "\n")


def _entry(source: Source, counts: dict[str, Counts]) -> dict[str, object]:
    package = source.package
    described: dict[str, object] = {
        "name": source.name,
        "licence": source.licence,
        "registry": package.registry,
        "package": package.name,
        "version": package.version,
        "sha256": package.sha256,
    }
    described.update({split: dataclasses.asdict(counts[split]) for split in SPLITS})
    return described


def _report(counts: dict[str, dict[str, Counts]]) -> None:
    total: collections.Counter[str] = collections.Counter()
    for name, splits in counts.items():
        train = splits["train"]
        total.update(dataclasses.asdict(train))
        print(f"{name:24}{train.documents:8} documents{train.words:10} words{train.bytes / 1e6:7.1f} MB")
    print(f"{'all':24}{total['documents']:8} documents{total['words']:10} words{total['bytes'] / 1e6:7.1f} MB")


if __name__ == "__main__":
    main()
