"""Where a vocabulary is: a local SentencePiece file, a folder that has one (as Hugging Face's do), a bucket, or ByT5's bytes."""

import hashlib
import json
from pathlib import Path

from ptune_cli.errors import UserError
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.formats.strict import damaged
from ptune_cli.formats.tokenizer_json import OtherKind, sentencepiece_model
from tasks.pieces import BYTES, T5

NAMES = ("spiece.model", "sentencepiece.model")
TOKENIZER, TOKENIZER_SETTINGS = "tokenizer.json", "tokenizer_config.json"
BYT5_TOKENIZER = "ByT5Tokenizer"
LARGEST = 2**28  # bytes of a tokenizer.json; mT5's has 16 million
REMEDIES = (
    f"set the model's vocabulary to a SentencePiece file such as T5's spiece.model, a Hugging Face folder that has one, or {T5}"
)


def find(place: str, cache: Path) -> Path:
    """The local file of the vocabulary at `place`, or Path("bytes"), ByT5's, which has none.

    A place is a file; a folder with one of `NAMES`, with a tokenizer.json, from which one is made in `cache`, or of a ByT5;
    "bytes"; or gs://bucket/file, which is copied into `cache` once.

    Raises:
        UserError: there is none, with the ways to get one; or the tokenizer.json is not a T5's.
    """
    if place.startswith("gs://"):
        return _copied(place, cache / "vocabularies" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.model")
    path = Path(place).expanduser()
    found = Path(BYTES) if place == BYTES else path if path.is_file() else _in_folder(path, cache)
    if found is None:
        raise UserError(f"no vocabulary at {place}", REMEDIES)
    return found


def is_in(folder: Path) -> bool:
    """Whether a Hugging Face folder has a vocabulary, of which kind ever."""
    return any((folder / name).is_file() for name in (*NAMES, TOKENIZER)) or _is_byt5(folder)


def _in_folder(folder: Path, cache: Path) -> Path | None:
    for name in NAMES:
        if (folder / name).is_file():
            return folder / name
    if _is_byt5(folder):
        return Path(BYTES)
    return _rebuilt(folder / TOKENIZER, cache) if (folder / TOKENIZER).is_file() else None


def _is_byt5(folder: Path) -> bool:
    """As the settings of its tokenizer or of its model say."""
    for name in (TOKENIZER_SETTINGS, "config.json"):
        try:
            if json.loads((folder / name).read_bytes())["tokenizer_class"] == BYT5_TOKENIZER:
                return True
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            continue  # not there, or not saying
    return False


def _rebuilt(file: Path, cache: Path) -> Path:
    """A tokenizer.json as a SentencePiece file, under the name of its content."""
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError(f"more than {LARGEST:,} bytes")
        content = file.read_bytes()
        made = sentencepiece_model(content)
    except OtherKind as error:
        raise UserError(f"{file} is not a T5's: it has {error}", REMEDIES) from error
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise damaged(file, error) from error
    copy = cache / "vocabularies" / f"{hashlib.sha256(made).hexdigest()[:16]}.model"
    if not copy.is_file():
        write_atomically(copy, made)
    return copy


def _copied(place: str, copy: Path) -> Path:
    if copy.is_file():
        return copy
    import tensorstore as ts

    from ptune_cli.formats.t5x_store import kvstore, result

    folder, _, name = place.rpartition("/")
    store = result(ts.KvStore.open(kvstore(f"{folder}/")), place)
    read = result(store.read(name), place)
    if read.state != "value":
        raise UserError(f"no vocabulary at {place}", REMEDIES)
    write_atomically(copy, read.value)
    return copy
