"""The vocabulary at a place, of which kind ever."""

from ptune_cli import shipped
from ptune_cli.data.byte_vocabulary import ByteVocabulary
from ptune_cli.data.prepared import default_cache
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.formats import vocabulary_file
from tasks.pieces import BYTES


def load(place: str) -> Vocabulary:
    """The vocabulary at a place of `vocabulary_file.find`, or of a model on the Hub: a SentencePiece model, or ByT5's bytes.

    Raises UserError where there is none, or what is there cannot be read or is not a T5's.
    """
    if place.startswith(shipped.HUB):
        from ptune_cli.formats import hub  # imports safetensors, which no vocabulary needs

        place = hub.locate(place)
    path = vocabulary_file.find(place, default_cache())
    return ByteVocabulary() if str(path) == BYTES else Vocabulary(path)
