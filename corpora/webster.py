"""Webster's Unabridged Dictionary of 1913, entry by entry, as clean text."""

import functools
import json
import pathlib
import re
import unicodedata
from typing import NamedTuple

from corpora import archives
from corpora.passages import normalise

# Synonyms, derived words and pronunciations follow the senses as lists of forms, not as sentences.
_APPENDIX = re.compile(r"""\s(?:Syn\. --|-- [A-Z][\w"*`]+(?:ly, adv|ness, n)|-- (?:n|a|v)\. ).*""", re.DOTALL)
# `(Zool.)` names a field, `[Obs.]` a usage, `1.` and `(a)` a sense; the sentence reads on without them.
_MARK = re.compile(r"\([A-Z][\w &.-]{1,24}\.\)|\[[^\]]{1,40}\]|(?:^|(?<=\s))\d{1,2}\.\s|\([a-z]\)\s")


class Entry(NamedTuple):
    """A headword in lower case, and all its senses."""

    word: str
    senses: str


@functools.cache
def entries(archive: pathlib.Path, inside: str) -> tuple[Entry, ...]:
    """All entries but those that only point to another (`See Molybdous.`) or were obsolete by 1913: they teach nothing."""
    ((_, text),) = archives.texts(archive, inside)
    found = [(Entry(_ascii(e["key"]), _clean(e["value"])), e["value"]) for e in json.loads(text)]
    return tuple(entry for entry, raw in found if not entry.senses.startswith("See ") and "[Obs.]" not in raw[:200])


def _clean(value: str) -> str:
    return normalise(_MARK.sub("", _APPENDIX.sub("", _ascii(value))).replace(" ,", ","))


def _ascii(text: str) -> str:
    """Accents of Latin names go: each accented letter would cost a piece of the vocabulary and be seen a few times."""
    spelled = text.replace("æ", "ae").replace("Æ", "Ae").replace("œ", "oe").replace("Œ", "Oe")
    return unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
