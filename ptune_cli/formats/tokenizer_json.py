"""Turns the tokenizer.json of a T5, as Hugging Face's `tokenizers` writes it, back into a SentencePiece model."""

import base64
import json
import math
import re
from collections.abc import Iterable
from typing import Any

from sentencepiece import sentencepiece_model_pb2

SPACE = "▁"
CONTROL = ("<pad>", "</s>", "<s>")
SENTINEL = re.compile(r"▁?(<extra_id_\d+>)")
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
# What a T5's tokenizer.json is put together from; anything else would cut text otherwise than a SentencePiece model.
NORMALIZERS = {"Precompiled", "Strip", "Replace"}
PRE_TOKENIZERS = {"WhitespaceSplit", "Metaspace"}
JOINS_SPACES = {"WhitespaceSplit", "Replace"}

Parts = list[dict[str, Any]]


class OtherKind(Exception):
    """A tokenizer that is not a T5's; the message says what it has that a T5's has not."""


def sentencepiece_model(content: bytes) -> bytes:
    """The SentencePiece model, sentinels included, that gives the ids of a tokenizer.json.

    Raises:
        OtherKind: it is a tokenizer of another kind.
        ValueError, TypeError, LookupError, AttributeError, RecursionError: it is damaged.
    """
    settings = json.loads(content)
    found = settings["model"]
    if found.get("type", "Unigram") != "Unigram" or "unk_id" not in found:
        raise OtherKind(f"a model of type {str(found.get('type'))[:40]!r}, expected 'Unigram'")
    normalizers = _parts(settings.get("normalizer"), "normalizers", NORMALIZERS)
    pre_tokenizers = _parts(settings.get("pre_tokenizer"), "pretokenizers", PRE_TOKENIZERS)
    model: Any = sentencepiece_model_pb2.ModelProto()  # pyright: ignore[reportAttributeAccessIssue]
    _add_pieces(model, found, settings.get("added_tokens") or [])
    _normalize(model.normalizer_spec, normalizers, pre_tokenizers)
    return model.SerializeToString(deterministic=True)


def _parts(part: dict | None, name: str, known: set[str]) -> Parts:
    """What a step is put together from, if it is a sequence, or itself."""
    parts = [] if part is None else part[name] if part["type"] == "Sequence" else [part]
    other = [str(step["type"])[:40] for step in parts if step["type"] not in known]
    if other:
        raise OtherKind(f"a step '{other[0]}', expected none but {', '.join(sorted(known))}")
    return parts


def _add_pieces(model: Any, found: dict, added: Iterable[dict]) -> None:
    pieces = [(str(piece), float(score)) for piece, score in found["vocab"]]
    for token in sorted(added, key=lambda token: token["id"]):
        if token["id"] >= len(pieces) and SENTINEL.fullmatch(token["content"]) and token["id"] == len(pieces):
            pieces.append((token["content"], 0.0))
        elif not 0 <= token["id"] < len(pieces) or _bare(pieces[token["id"]][0]) != _bare(token["content"]):
            raise OtherKind(f"a token {token['content'][:40]!r} of its own")
    if len({piece for piece, _ in pieces}) < len(pieces) or not all(piece and math.isfinite(score) for piece, score in pieces):
        raise ValueError("pieces that are empty, there twice, or without a score")
    for token, (piece, score) in enumerate(pieces):
        model.pieces.add(piece=_spelled(piece), score=score, type=_kind(model.SentencePiece, token, piece, found["unk_id"]))
    model.trainer_spec.model_type = model.trainer_spec.UNIGRAM
    model.trainer_spec.vocab_size = len(pieces)
    model.trainer_spec.byte_fallback = any(BYTE.fullmatch(piece) for piece, _ in pieces)
    for name, token in (("unk_id", found["unk_id"]), ("bos_id", -1), ("eos_id", 1), ("pad_id", 0)):
        setattr(model.trainer_spec, name, token)


def _bare(piece: str) -> str:
    return piece.removeprefix(SPACE) if SENTINEL.fullmatch(piece) else piece


def _spelled(piece: str) -> str:
    """A sentinel as T5's files spell it: behind a space."""
    return f"{SPACE}{_bare(piece)}" if SENTINEL.fullmatch(piece) else piece


def _kind(kinds: Any, token: int, piece: str, unknown: int) -> int:
    if token == unknown:
        return kinds.UNKNOWN
    if piece in CONTROL:
        return kinds.CONTROL
    if SENTINEL.fullmatch(piece):
        return kinds.USER_DEFINED
    return kinds.BYTE if BYTE.fullmatch(piece) else kinds.NORMAL


def _normalize(spec: Any, normalizers: Parts, pre_tokenizers: Parts) -> None:
    tables = [step["precompiled_charsmap"] for step in normalizers if step["type"] == "Precompiled"]
    if tables and tables[0]:
        spec.precompiled_charsmap = base64.b64decode(tables[0], validate=True)
    (metaspace,) = [step for step in pre_tokenizers if step["type"] == "Metaspace"] or [{}]
    if metaspace.get("replacement") != SPACE:
        raise OtherKind(f"no step 'Metaspace' that puts {SPACE} for spaces")
    spec.add_dummy_prefix = metaspace.get("prepend_scheme", "always") != "never" and metaspace.get("add_prefix_space", True)
    spec.remove_extra_whitespaces = any(step["type"] in JOINS_SPACES for step in (*normalizers, *pre_tokenizers))
    spec.escape_whitespaces = True
