"""The vocabulary that goes with a converted model: Hugging Face's folders have one beside the weights, T5X's none."""

import sys
from pathlib import Path

from ptune_cli.base_model import BaseModel, check_vocabulary
from ptune_cli.errors import UserError
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.formats.vocabulary_file import NAMES


def copy_vocabulary(model: BaseModel, folder: Path) -> str | None:
    """Copies the model's vocabulary into `folder`; returns where it is from. Where there is none, says so on standard error.

    Raises UserError for a vocabulary that has more ids than the model.
    """
    try:
        vocabulary = model.load_vocabulary()
    except UserError as error:
        print(f"the vocabulary is left out: {error}", file=sys.stderr)
        return None
    check_vocabulary(vocabulary, model.sizes())
    write_atomically(folder / NAMES[0], vocabulary.path.read_bytes())
    return str(vocabulary.path)
