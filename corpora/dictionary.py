"""Webster's Unabridged Dictionary of 1913: what 90,000 words mean, in sentences older and longer than WordNet's."""

import json
import pathlib
import re
import unicodedata
from collections.abc import Iterator

from corpora import archives
from corpora.passages import Passage, normalise, pack, sentences

# Synonyms, derived words and pronunciations follow the senses as lists of forms, not as sentences.
_APPENDIX = re.compile(r"""\s(?:Syn\. --|-- [A-Z][\w"*`]+(?:ly, adv|ness, n)|-- (?:n|a|v)\. ).*""", re.DOTALL)
# `(Zool.)` names a field, `[Obs.]` a usage, `1.` and `(a)` a sense; the sentence reads on without them.
_MARK = re.compile(r"\([A-Z][\w &.-]{1,24}\.\)|\[[^\]]{1,40}\]|(?:^|(?<=\s))\d{1,2}\.\s|\([a-z]\)\s")


def read(archive: pathlib.Path, inside: str) -> Iterator[Passage]:
    """`whale: Any aquatic mammal of the order Cetacea ...`; the first passage, as the rest of a long entry is lists."""
    ((_, text),) = archives.texts(archive, inside)
    for entry in json.loads(text):
        senses = _clean(entry["value"])
        # A word that only points to another (`See Molybdous.`) or was obsolete by 1913 teaches nothing.
        if senses.startswith("See ") or "[Obs.]" in entry["value"][:200]:
            continue
        passage = next(pack(sentences(f"{_ascii(entry['key'])}: {senses}")))
        yield Passage(passage, passage)


def _clean(value: str) -> str:
    return normalise(_MARK.sub("", _APPENDIX.sub("", _ascii(value))).replace(" ,", ","))


def _ascii(text: str) -> str:
    """Accents of Latin names go: each accented letter would cost a piece of the vocabulary and be seen a few times."""
    spelled = text.replace("æ", "ae").replace("Æ", "Ae").replace("œ", "oe").replace("Œ", "Oe")
    return unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
