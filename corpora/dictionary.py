"""Webster's Unabridged Dictionary of 1913: what 90,000 words mean, in sentences older and longer than WordNet's."""

import pathlib
from collections.abc import Iterator

from corpora import webster, webster_topics
from corpora.passages import Passage, pack, sentences


def read(archive: pathlib.Path, inside: str) -> Iterator[Passage]:
    """`whale: Any aquatic mammal of the order Cetacea ...`; the first passage, as the rest of a long entry is lists.

    Rows of the demo task webster_topic are left out.
    """
    held_out = webster_topics.held_out()
    for entry in webster.entries(archive, inside):
        if not webster_topics.definitions(entry) & held_out:
            passage = next(pack(sentences(f"{entry.word}: {entry.senses}")))
            yield Passage(passage, passage)
