"""Running prose: presidents' addresses to Congress and the chapters of one novel."""

import pathlib
from collections.abc import Iterator

from corpora import archives
from corpora.passages import Passage, normalise, pack, sentences


def read_speeches(archive: pathlib.Path, inside: str) -> Iterator[Passage]:
    """The files have lost their paragraphs, so sentences are packed anew."""
    for _, text in archives.texts(archive, inside):
        for passage in pack(sentences(normalise(text))):
            yield Passage(passage, passage)


def read_chapters(archive: pathlib.Path, inside: str) -> Iterator[Passage]:
    """Paragraphs of a novel are often one line of dialogue, so neighbours are packed; long ones are cut at sentences."""
    for _, text in archives.texts(archive, inside):
        _heading, *paragraphs = text.split("\n\n")
        pieces = (piece for paragraph in paragraphs for piece in sentences(normalise(paragraph)))
        for passage in pack(pieces):
            yield Passage(passage, passage)
