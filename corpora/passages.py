"""What every text is cut into: passages of whole sentences, plain punctuation, one line each.

Typographic variants are folded to ASCII before the vocabulary is trained: 6,000 pieces are too few to spend on three
kinds of quotation mark.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator

SHORTEST, LONGEST = 40, 2000
# Passages are packed up to this size: about 250 tokens, so that most fit a training row without being cut.
TARGET = 1000

_FOLD = str.maketrans({"`": "'", "‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "\xa0": " ", "_": " "})
_DASH = re.compile(r"\s*(?:--+|—+)\s*")
_SENTENCE_END = re.compile(r"""[.?!]["')]*$""")
# An abbreviation is followed by a capital too, so a title or an initial does not end a sentence.
_BETWEEN_SENTENCES = re.compile(
    r"""(?:(?<=[.?!])|(?<=[.?!]["']))"""
    r"""(?<!\b[A-Z]\.)(?<!\b(?:Mr|Dr|St)\.)(?<!\bMrs\.)"""
    r"""\s+(?=["'(]?[A-Z])"""
)


@dataclasses.dataclass(frozen=True)
class Passage:
    """A document of the corpus. Passages of one group are held out together (three translations of one chapter)."""

    text: str
    group: str


def normalise(text: str) -> str:
    """The text on one line, with single spaces and ASCII quotes and dashes."""
    text = _DASH.sub(" - ", text.translate(_FOLD))
    return re.sub(r"\s+", " ", text).strip()


def sentences(text: str) -> list[str]:
    return _BETWEEN_SENTENCES.split(text)


def pack(pieces: Iterable[str], join: str = " ") -> Iterator[str]:
    """Joins consecutive pieces into passages that end where a sentence does."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= TARGET and ends_as_sentence(piece):
            yield join.join(held)
            held, size = [], 0
    if held:
        yield join.join(held)


def ends_as_sentence(text: str) -> bool:
    return bool(_SENTENCE_END.search(text))


def is_document(text: str) -> bool:
    """Headings, lists of contents and cut-off ends are not."""
    return SHORTEST <= len(text) <= LONGEST and ends_as_sentence(text)
