"""Shakespeare's plays and poems in modern spelling, from plain text with one blank line between speeches."""

import pathlib
import re
from collections.abc import Iterator

from corpora import archives
from corpora.passages import Passage, normalise, pack

_DIRECTION = re.compile(r"\[[^\]]*\]")
_SPEAKER = re.compile(r"^([A-Z][A-Za-z' ]{1,24})\.$")


def read(archive: pathlib.Path, inside: str) -> Iterator[Passage]:
    for _, text in archives.texts(archive, inside):
        blocks = _DIRECTION.sub("", text.replace("\r", "")).split("\n\n")
        for passage in pack(filter(None, map(_speech, blocks))):
            yield Passage(passage, passage)


def _speech(block: str) -> str:
    """`HAMLET.` above the lines becomes `Hamlet:` before them; headings and casts (no sentence end) become nothing."""
    first, *lines = block.strip().split("\n")
    speaker = _SPEAKER.match(first)
    if not speaker:
        text = normalise(block)
        return text if text.endswith((".", "?", "!")) and len(lines) > 1 else ""
    spoken = normalise(" ".join(lines))
    return f"{speaker[1].title()}: {spoken}" if spoken else ""
