"""T5's SentencePiece vocabulary, without TensorFlow: the same ids as `seqio.SentencePieceVocabulary(path, extra_ids=100)`."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import sentencepiece
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2

from ptune_cli.errors import UserError

SPECIAL_IDS = (0, 1, 2)


class Vocabulary:
    """A SentencePiece model with `extra_ids` sentinels behind it.

    `<extra_id_0>` is the last id, `<extra_id_1>` the one before it, and so on down, as T5's span corruption numbers them.

    Raises:
        UserError: the file is missing, is no SentencePiece model, or numbers padding, end and unknown other than 0, 1, 2.
    """

    pad_id, eos_id, unk_id = SPECIAL_IDS

    def __init__(self, path: str | Path, extra_ids: int = 100):
        self.path = Path(path)
        self.extra_ids = extra_ids
        content = _read(self.path)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._processor = _processor(content, self.path, extra_ids)
        self.size: int = self._processor.GetPieceSize()

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without the end of sequence. A word "<extra_id_3>" becomes that sentinel."""
        return self._processor.EncodeAsIds(text)

    def decode(self, ids: Iterable[int]) -> str:
        """The text up to the first end of sequence. Padding is skipped; ids beyond the vocabulary read as unknown.

        A model's embedding table has more rows than the vocabulary has pieces, so an untrained model can choose such ids.
        """
        kept = []
        for token in map(int, ids):
            if token == self.eos_id:
                break
            if token != self.pad_id:
                kept.append(token if token < self.size else self.unk_id)
        return self._processor.DecodeIds(kept)

    def piece(self, token: int) -> str:
        """The piece with this id, "▁" for a leading space; "<unused_32101>" for a row beyond the vocabulary."""
        return self._processor.IdToPiece(int(token)) if token < self.size else f"<unused_{token}>"

    def sentinel(self, index: int) -> int:
        """The id of `<extra_id_{index}>`. Raises IndexError beyond the last one."""
        if not 0 <= index < self.extra_ids:
            raise IndexError(f"sentinel {index} of {self.extra_ids}")
        return self.size - 1 - index


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"no vocabulary at {path}", "give a SentencePiece model, such as T5's spiece.model") from None
    except OSError as error:
        raise UserError(f"cannot read the vocabulary {path}: {error.strerror}") from error


def _processor(content: bytes, path: Path, extra_ids: int) -> sentencepiece.SentencePieceProcessor:
    try:
        model = sentencepiece_model_pb2.ModelProto.FromString(content)  # pyright: ignore[reportAttributeAccessIssue]
        for index in reversed(range(extra_ids)):
            # User-defined pieces, so that "<extra_id_3>" in a text is one token and reads back as itself.
            model.pieces.add(piece=f"▁<extra_id_{index}>", score=0.0, type=model.SentencePiece.USER_DEFINED)
        processor = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(model.SerializeToString())
    except (DecodeError, RuntimeError) as error:
        raise UserError(f"{path} is not a SentencePiece model, or is cut short", "copy the file again") from error
    found = (processor.pad_id(), processor.eos_id(), processor.unk_id())
    if found != SPECIAL_IDS:
        raise UserError(f"{path} numbers (padding, end, unknown) {found}; T5 needs {SPECIAL_IDS}")
    return processor
