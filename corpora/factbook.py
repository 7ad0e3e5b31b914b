"""The World Factbook of 2015: short modern accounts of every country, a work of the United States government."""

import functools
import json
import pathlib
from collections.abc import Iterator

from corpora import archives
from corpora.passages import Passage, ends_as_sentence, normalise, pack, sentences

# The fields that are prose; the others are tables and lists.
_PROSE = (
    ("Introduction", "Background"),
    ("Geography", "Geography - note"),
    ("Economy", "Economy - overview"),
    ("Government", "Flag description"),
    ("People and Society", "Demographic profile"),
    ("Communications", "Broadcast media"),
    ("Transnational Issues", "Disputes - international"),
    ("Transnational Issues", "Illicit drugs"),
)


def read(archive: pathlib.Path, inside: str) -> Iterator[Passage]:
    """`Marshall Islands: ...`; a field does not say which country it is about."""
    for _, text in archives.texts(archive, inside):
        country = json.loads(text)
        name = _text(country, "Government", "Country name", "conventional short form") or "The world"
        for path in _PROSE:
            prose = normalise(_text(country, *path))
            for passage in pack(sentences(_closed(f"{name}: {prose}"))) if prose else ():
                yield Passage(passage, passage)


def _text(country: dict, *path: str) -> str:
    """The text of a field, empty when the country lacks it; some fields are there but null."""
    field = functools.reduce(lambda part, name: part.get(name) or {}, path, country)
    return field.get("text") or ""


def _closed(text: str) -> str:
    """Some fields are clauses without a final full stop."""
    return text if ends_as_sentence(text) else f"{text}."
