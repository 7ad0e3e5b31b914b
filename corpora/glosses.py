"""WordNet's definitions as natural sentences: half of what a small model can learn about what words mean."""

import pathlib
from collections.abc import Iterator

from corpora import topics, wordnet
from corpora.passages import Passage


def read(archive: pathlib.Path, inside: str) -> Iterator[Passage]:
    """`dog, domestic dog: a member of the genus Canis; "the dog barked all night".` Rows of the demo task are left out."""
    held_out = topics.held_out_keys()
    for synset in wordnet.synsets(archive, inside):
        if not topics.keys(synset.definition) & held_out:
            yield Passage(_sentence(synset), synset.definition)


def _sentence(synset: wordnet.Synset) -> str:
    text = f"{', '.join(synset.words)}: {synset.definition}"
    if synset.examples:
        text += f"; {synset.examples}"
    return text if text.endswith((".", "?", "!", '."')) else f"{text}."
