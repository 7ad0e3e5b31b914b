"""How long a base model was LM-adapted (the paper's section 2.2), as far as its files or its name tell."""

import re

from ptune_cli import shipped
from ptune_cli.errors import UserError
from tasks.sentinel import plain

# What the published checkpoints are called: T5X's and Mesh TensorFlow's `lm100k`, Hugging Face's `t5-base-lm-adapt` (which
# are the 100,000 steps), and the T5 1.1 and 1.0 that they start from.
IN_THOUSANDS = re.compile(r"lm[_-]?(\d+)k", re.IGNORECASE)
NAMES = (
    (re.compile(r"lm[_-]adapt", re.IGNORECASE), 100_000),
    (re.compile(r"t5[_-]v?1[_.]1[_-]|t5[_-](small|base|large|3b|11b)$"), 0),
)


def steps(checkpoint: str) -> int | None:
    """Steps of LM adaptation of a shipped model or a path; 0 for span corruption alone, None if nothing tells."""
    recorded = _recorded(checkpoint)
    return _named(checkpoint.rstrip("/")) if recorded is None else recorded


def objective(checkpoint: str, task: str) -> str | None:
    """What a model was last trained for, and whether a task's targets are in that form: a line of the paper's Figure 3c.

    None if nothing tells.
    """
    adapted = steps(checkpoint)
    if adapted is None:
        return None
    return f"{'LM adaptation' if adapted else 'span corruption'}{'' if plain(task) == task else ' + sentinel'}"


def told(count: int | None) -> str:
    """The same in words."""
    return "unknown LM adaptation" if count is None else f"{count:,} steps of LM adaptation" if count else "no LM adaptation"


def _recorded(checkpoint: str) -> int | None:
    """What training.json beside the weights says."""
    try:
        training = shipped.training(shipped.locate(checkpoint))
    except UserError:  # the run was made elsewhere
        return None
    return sum(phase["steps"] for phase in training["phases"] if phase["objective"] == "PrefixLM") if training else None


def _named(checkpoint: str) -> int | None:
    if found := IN_THOUSANDS.search(checkpoint):
        return 1000 * int(found[1])
    return next((count for name, count in NAMES if name.search(checkpoint)), None)
