"""The models inside the package, and where any model that is named on the command line lies. The standard library alone."""

import json
from pathlib import Path

from ptune_cli.errors import UserError, nearest, nearest_path

HUB = "hf://"  # what the place of a model on the Hugging Face Hub begins with; `formats.hub` says where it lies
ASSETS = Path(__file__).parent / "assets"
CARD, TRAINING = "README.md", "training.json"


def names() -> list[str]:
    """The names of the models inside the package, in alphabetical order."""
    return sorted(path.parent.name for path in ASSETS.glob("*/config.json"))


def locate(checkpoint: str) -> str:
    """The path of a shipped model's name, or of a path (~ expanded, gs:// as it is).

    Raises UserError with the nearest name if it is neither.
    """
    if checkpoint in names():
        return str(ASSETS / checkpoint)
    if checkpoint.startswith("gs://") or Path(checkpoint).expanduser().exists():
        return str(Path(checkpoint).expanduser()) if "://" not in checkpoint else checkpoint
    raise UserError(
        f"no model '{checkpoint}': neither a shipped model nor a path",
        nearest_path(checkpoint) if "/" in checkpoint else nearest(checkpoint, names()),
    )


def size_of(name: str) -> str:
    """The size that a model is a stage of: `nano` for `nano`, `nano_span` and `nano_lm90`."""
    return name.partition("_")[0]


def card(name: str) -> str:
    """The card of a shipped model in Markdown: one for all stages of a size."""
    return (ASSETS / size_of(name) / CARD).read_text(encoding="utf-8")


def training(folder: str | Path) -> dict | None:
    """How the model in `folder` was trained (`corpora/training_facts.py` says what is in it); None where nobody wrote it down."""
    file = Path(folder) / TRAINING
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
