"""The vocabulary that goes with a converted model: Hugging Face's folders have one beside the weights, T5X's none."""

import sys
from pathlib import Path

from ptune_cli.base_model import BaseModel, check_vocabulary
from ptune_cli.errors import UserError


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
    vocabulary.save(folder)
    return str(vocabulary.path)
