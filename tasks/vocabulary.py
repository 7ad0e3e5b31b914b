"""The seqio vocabulary at a place: a SentencePiece file with sentinels, or ByT5's bytes."""

# ruff: noqa: TID253 - only what uses seqio imports this module

import seqio
import tensorflow as tf
from sentencepiece import sentencepiece_model_pb2

from tasks.pieces import BYTES, SENTINELS, T5, added_sentinels, own_sentinels


def vocabulary(place: str) -> seqio.Vocabulary:
    """That of a file, here or in a bucket, with T5's 100 sentinels behind it unless it has its own; or of the place "bytes".

    T5's own file in its bucket, which is known to have them, is not read before it is used.
    """
    if place == BYTES:
        return seqio.ByteVocabulary()
    return seqio.SentencePieceVocabulary(place, extra_ids=0 if place == T5 else added_sentinels(_pieces(place)))


def sentinels(found: seqio.Vocabulary) -> int:
    """How many ids at the end of a vocabulary are sentinels."""
    if isinstance(found, seqio.ByteVocabulary):
        return SENTINELS
    if isinstance(found, seqio.SentencePieceVocabulary):
        return own_sentinels([found.tokenizer.IdToPiece(i) for i in range(found.vocab_size)])
    return found.extra_ids


def _pieces(file: str) -> list[str]:
    with tf.io.gfile.GFile(file, "rb") as opened:
        model = sentencepiece_model_pb2.ModelProto.FromString(opened.read())  # pyright: ignore[reportAttributeAccessIssue]
    return [piece.piece for piece in model.pieces]
