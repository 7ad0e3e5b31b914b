"""A SentencePiece vocabulary of the T5 family, without TensorFlow: the same ids as seqio's (`tasks.vocabulary`)."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import sentencepiece
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2

from ptune_cli.errors import UserError
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.formats.vocabulary_file import NAMES
from tasks.pieces import added_sentinels, own_sentinels

SPECIAL_IDS = (0, 1, 2)


class Vocabulary:
    """A SentencePiece model with its sentinels: those that it has, as mT5's, or else 100 behind its pieces, as T5's.

    `<extra_id_0>` is the last id, `<extra_id_1>` the one before it, and so on down, as T5's span corruption numbers them.

    Raises:
        UserError: the file is missing, is no SentencePiece model, or numbers padding, end, unknown or sentinels otherwise.
    """

    pad_id, eos_id, unk_id = SPECIAL_IDS

    def __init__(self, path: str | Path):
        self.path = Path(path)
        content = _read(self.path)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._processor, self.extra_ids = _processor(content, self.path)
        self.size: int = self._processor.GetPieceSize()

    @property
    def pieces(self) -> int:
        """How many pieces it has besides its sentinels."""
        return self.size - self.extra_ids

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

    def save(self, folder: Path) -> None:
        """Writes what makes it the vocabulary of a Hugging Face folder. UserError where the folder cannot be written."""
        write_atomically(folder / NAMES[0], _read(self.path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"no vocabulary at {path}", "give a SentencePiece model, such as T5's spiece.model") from None
    except OSError as error:
        raise UserError(f"cannot read the vocabulary {path}: {error.strerror}") from error


def _processor(content: bytes, path: Path) -> tuple[sentencepiece.SentencePieceProcessor, int]:
    """What cuts text, and how many of its last pieces are sentinels."""
    try:
        model = sentencepiece_model_pb2.ModelProto.FromString(content)  # pyright: ignore[reportAttributeAccessIssue]
        pieces = [piece.piece for piece in model.pieces]
        if any(isinstance(piece, bytes) for piece in pieces):  # what is not UTF-8
            raise DecodeError("a piece that is no text")
        for index in reversed(range(added := added_sentinels(pieces))):
            # User-defined pieces, so that "<extra_id_3>" in a text is one token and reads back as itself.
            model.pieces.add(piece=f"▁<extra_id_{index}>", score=0.0, type=model.SentencePiece.USER_DEFINED)
        processor = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(model.SerializeToString())
    except ValueError as error:
        raise UserError(f"{path} has {error}", "give the vocabulary of a T5") from error
    except (DecodeError, RuntimeError) as error:
        raise UserError(f"{path} is not a SentencePiece model, or is cut short", "copy the file again") from error
    found = (processor.pad_id(), processor.eos_id(), processor.unk_id())
    if found != SPECIAL_IDS:
        raise UserError(f"{path} numbers (padding, end, unknown) {found}; T5 needs {SPECIAL_IDS}")
    return processor, added or own_sentinels(pieces)
