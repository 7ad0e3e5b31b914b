"""The vocabulary that goes with a converted model: Hugging Face's folders have one beside the weights, T5X's none."""

from pathlib import Path

from ptune_cli.base_model import BaseModel, check_vocabulary
from ptune_cli.errors import UserError


def copy_vocabulary(model: BaseModel, folder: Path) -> tuple[str | None, list[str]]:
    """Copies the model's vocabulary into `folder`; returns where it is from, or None and a note that says what to do.

    Raises UserError for a vocabulary that has more ids than the model.
    """
    try:
        vocabulary = model.load_vocabulary()
    except UserError as error:
        return None, [f"the vocabulary is left out: {error}"]
    check_vocabulary(vocabulary, model.sizes())
    vocabulary.save(folder)
    return str(vocabulary.path), []
