"""ByT5's vocabulary: the bytes of UTF-8, each 3 up. The same ids as `seqio.ByteVocabulary()`, which ByT5 was trained with."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from ptune_cli.data.vocabulary import SPECIAL_IDS, Vocabulary
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.formats.vocabulary_file import BYT5_TOKENIZER, TOKENIZER_SETTINGS
from tasks.pieces import BYTES, SENTINELS

FIRST = len(SPECIAL_IDS)  # the id of byte 0
NAMES = ("<pad>", "</s>", "<unk>")


class ByteVocabulary(Vocabulary):
    """Padding, end and unknown, then 256 bytes: 259 ids, though ByT5's table has 384 rows.

    Its sentinels are its last ids, as in ByT5's span corruption, and no ids of their own: `<extra_id_0>` in a text is cut into
    its 12 bytes, where `transformers` makes one token of it, whose row ByT5 never trained.
    """

    def __init__(self):
        self.path = Path(BYTES)
        self.sha256 = hashlib.sha256(BYTES.encode()).hexdigest()
        self.size, self.extra_ids = FIRST + 256, SENTINELS

    @property
    def pieces(self) -> int:
        """All of them: its sentinels are bytes too."""
        return self.size

    def encode(self, text: str) -> list[int]:
        """The ids of the bytes of `text`, without the end of sequence."""
        return [FIRST + byte for byte in text.encode()]

    def decode(self, ids: Iterable[int]) -> str:
        """The text up to the first end of sequence, without the bytes that make no character and the ids that are none."""
        kept = []
        for token in map(int, ids):
            if token == self.eos_id:
                break
            if FIRST <= token < self.size:
                kept.append(token - FIRST)
        return bytes(kept).decode(errors="ignore")

    def piece(self, token: int) -> str:
        """An ASCII byte's character, "▁" for a space, "<0xE2>" for another byte, "<unused_383>" for a row beyond them."""
        if token < FIRST or token >= self.size:
            return NAMES[token] if 0 <= token < FIRST else f"<unused_{token}>"
        character = chr(int(token) - FIRST)
        return "▁" if character == " " else character if "!" <= character <= "~" else f"<0x{ord(character):02X}>"

    def save(self, folder: Path) -> None:
        """Writes what makes it the vocabulary of a Hugging Face folder. UserError where the folder cannot be written."""
        settings = {"tokenizer_class": BYT5_TOKENIZER, "extra_ids": 125}
        write_atomically(folder / TOKENIZER_SETTINGS, (json.dumps(settings, indent=2) + "\n").encode())
