"""Where a SentencePiece model is: a local file, a folder that has one (as Hugging Face's do), or a bucket."""

import hashlib
from pathlib import Path

from ptune_cli.errors import UserError
from ptune_cli.formats.atomic import write_atomically

NAMES = ("spiece.model", "sentencepiece.model")
T5 = "gs://t5-data/vocabs/cc_all.32000.100extra/sentencepiece.model"
REMEDIES = (
    f"set the model's vocabulary to a SentencePiece file such as T5's spiece.model, a Hugging Face folder that has one, or {T5}"
)


def find(place: str, cache: Path) -> Path:
    """The local file of the vocabulary at `place`: a file, a folder with one of `NAMES`, or gs://bucket/file, which is copied
    into `cache` once.

    Raises:
        UserError: there is none, with the three ways to get one.
    """
    if place.startswith("gs://"):
        return _copied(place, cache / "vocabularies" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.model")
    path = Path(place).expanduser()
    candidates = [path / name for name in NAMES] if path.is_dir() else [path]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise UserError(f"no vocabulary at {place}", REMEDIES)
    return found


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
