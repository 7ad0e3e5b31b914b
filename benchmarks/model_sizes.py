"""The sizes of the T5 1.1 models, as gin/models has them, without gin-config: for machines that have JAX alone."""

import ast
import re
from pathlib import Path

from ptune_cli.t5.config import T5Config

FOLDER = Path(__file__).parents[1] / "gin" / "models"
NAMES = ("small", "base", "large", "xl", "xxl")


def config_of(size: str) -> T5Config:
    """A model's sizes. FileNotFoundError if gin/models has no such size."""
    bound = re.findall(r"^config\.T5Config\.(\w+) = (.+)$", (FOLDER / f"t5_1_1_{size}.gin").read_text(), re.MULTILINE)
    return T5Config(**{name: ast.literal_eval(value) for name, value in bound})
