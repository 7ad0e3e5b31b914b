"""What a vocabulary's place and pieces tell: what its sentinels are. No seqio, no TensorFlow."""

import re
from collections.abc import Sequence

BYTES = "bytes"  # the place of ByT5's vocabulary, which is no file
SENTINELS = 100  # behind the pieces of a file that has none of its own; of ByT5, which has none, as many of its last bytes
T5 = "gs://t5-data/vocabs/cc_all.32000.100extra/sentencepiece.model"  # it has its own
NAME = re.compile(r"▁?<extra_id_\d+>")


def own_sentinels(pieces: Sequence[str]) -> int:
    """How many sentinels a SentencePiece file has of its own, as T5's in its bucket and mT5's have.

    `<extra_id_0>` is its last piece, `<extra_id_1>` the one before it, and so on.

    Raises ValueError where it has some that are not numbered so.
    """
    count = 0
    while count < len(pieces) and pieces[-1 - count].removeprefix("▁") == f"<extra_id_{count}>":
        count += 1
    if any(NAME.fullmatch(piece) for piece in pieces[: len(pieces) - count]):
        raise ValueError("sentinels that do not count down to <extra_id_0> as the last piece")
    return count


def added_sentinels(pieces: Sequence[str]) -> int:
    """How many sentinels are to be put behind the pieces of a file. Raises ValueError as `own_sentinels`."""
    return 0 if own_sentinels(pieces) else SENTINELS
