"""Models on the Hugging Face Hub, hf://ORG/NAME[@REVISION]: downloaded once by `huggingface_hub`, into its own cache."""

import functools
import glob
import re
from collections.abc import Iterable
from pathlib import Path

from ptune_cli import shipped
from ptune_cli.errors import UserError
from ptune_cli.formats import huggingface_tensors, vocabulary_file
from ptune_cli.formats.huggingface import CONFIG

PLACE = re.compile(r"hf://(?P<name>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")
INDEXES = (huggingface_tensors.INDEX, huggingface_tensors.TORCH_INDEX)
SMALL = (CONFIG, *vocabulary_file.NAMES, vocabulary_file.TOKENIZER_SETTINGS, *INDEXES)
LONGEST_REASON = 300  # characters
REMEDIES = {  # the library's name of an error: what it means, and what to do
    "GatedRepoError": ("is gated", "accept its terms on its page on the Hub, then log in with `hf auth login`"),
    "RepositoryNotFoundError": ("is not on the Hub, or private", "check the name, or log in with `hf auth login`"),
    "RevisionNotFoundError": ("has no such revision", "give a branch, a tag or a commit, as in hf://ORG/NAME@main"),
    "LocalEntryNotFoundError": (
        "is not in the cache, and the Hub cannot be reached",
        "run once with a network, or give a local folder",
    ),
    "IncompleteSnapshotError": (
        "is not whole in the cache, and the Hub cannot be reached",
        "run once with a network, or give a local folder",
    ),
}


def locate(checkpoint: str, weights: bool = False) -> str:
    """The path of a model: of a shipped one by its name, of hf://ORG/NAME in the library's cache, of a path itself.

    Of a model on the Hub the small files are downloaded where they are not in the cache, the weights only if asked for.
    Raises UserError if there is no such model, or it cannot be had.
    """
    return str(_downloaded(checkpoint, weights)) if checkpoint.startswith(shipped.HUB) else shipped.locate(checkpoint)


@functools.cache
def _downloaded(place: str, weights: bool) -> Path:
    found = PLACE.fullmatch(place)
    if not found:
        raise UserError(
            f"no model '{place}'", "expected hf://ORG/NAME or hf://ORG/NAME@REVISION, as in hf://google/flan-t5-small"
        )
    folder = _fetch(place, found["name"], found["revision"], SMALL)
    if not (folder / CONFIG).is_file():
        raise UserError(f"{place} has no {CONFIG}", "give a model that `transformers` can load")
    commit = folder.name  # which needs not be asked for again
    if not vocabulary_file.is_in(folder):
        _fetch(place, found["name"], commit, [vocabulary_file.TOKENIZER])
    if weights:
        _fetch_weights(place, found["name"], commit, folder)
    return folder


def _fetch_weights(place: str, name: str, commit: str, folder: Path) -> None:
    """One kind of weights, safetensors where there are any, and one file where there is one: some repositories have all."""
    for file, index in (
        (huggingface_tensors.WEIGHTS, huggingface_tensors.INDEX),
        (huggingface_tensors.TORCH, huggingface_tensors.TORCH_INDEX),
    ):
        if (folder / index).is_file():
            _fetch(place, name, commit, set(huggingface_tensors.shards(folder / index).values()))
        else:
            _fetch(place, name, commit, [file])
        if huggingface_tensors.entry_file(folder):
            return
    raise UserError(f"{place} has no {huggingface_tensors.WEIGHTS} and no {huggingface_tensors.TORCH}", "give another model")


def _fetch(place: str, name: str, revision: str | None, files: Iterable[str]) -> Path:
    """Downloads those of the files that there are and that are not in the cache; returns the folder they are in."""
    try:
        from huggingface_hub import snapshot_download  # pyright: ignore[reportMissingImports] - an extra
    except ImportError as error:
        hint = "pip install 'ptune[hub]', or download the model and give its folder"
        raise UserError(f"{place} needs the library huggingface_hub: {error}", hint) from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=sorted(map(glob.escape, files))))
    except Exception as error:  # its own kinds, those of the network library below it, and of the disk have no common base
        raise _told(place, error) from error


def _told(place: str, error: Exception) -> UserError:
    kinds = [kind.__name__ for kind in type(error).__mro__]
    what, hint = next((REMEDIES[kind] for kind in kinds if kind in REMEDIES), ("", ""))
    if what:
        return UserError(f"{place} {what}", hint)
    reason = " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
    return UserError(f"cannot download {place}: {reason}", "check the network and the disk's free space, or give a local folder")
