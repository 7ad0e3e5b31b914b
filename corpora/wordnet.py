"""WordNet's database files: 117,000 definitions with their words, topic and example sentences."""

import dataclasses
import functools
import pathlib
import re

from corpora import archives
from corpora.passages import normalise


@dataclasses.dataclass(frozen=True)
class Synset:
    """Words that share one meaning. `topic` is the number of the lexicographer's file that holds it."""

    id: str
    topic: int
    words: tuple[str, ...]
    definition: str
    examples: str


@functools.cache
def synsets(archive: pathlib.Path, inside: str) -> tuple[Synset, ...]:
    files = archives.texts(archive, f"{inside}/data.*")
    return tuple(_parse(line) for _, text in files for line in text.splitlines() if not line.startswith(" "))


def notice(archive: pathlib.Path, inside: str) -> str:
    """The licence, which Princeton asks to be kept with every copy: the numbered lines at the head of each file."""
    _, text = next(archives.texts(archive, f"{inside}/data.noun"))
    head = (line for line in text.splitlines() if line.startswith("  "))
    return "".join(re.sub(r"^\s+\d+ ?", "", line).rstrip() + "\n" for line in head)


def _parse(line: str) -> Synset:
    """Fields: offset, file number, part of speech, word count (hexadecimal), word and sense number pairs, pointers."""
    fields, gloss = line.split(" | ", 1)
    offset, topic, kind, count, *rest = fields.split()
    words = rest[: 2 * int(count, 16) : 2]
    definition, examples = _split(normalise(gloss))
    return Synset(kind + offset, int(topic), tuple(map(_word, words)), definition, examples)


def _split(gloss: str) -> tuple[str, str]:
    """Definition and examples; examples are the quoted part at the end."""
    cut = re.search(r';\s*(?=")', gloss)
    if not cut:
        return gloss.strip(" ;"), ""
    return gloss[: cut.start()].strip(" ;"), gloss[cut.end() :].strip(" ;")


def _word(raw: str) -> str:
    """Spaces for underscores, and no marker of an adjective's position such as `galore(ip)`."""
    return re.sub(r"\((?:a|p|ip)\)$", "", raw).replace("_", " ")
