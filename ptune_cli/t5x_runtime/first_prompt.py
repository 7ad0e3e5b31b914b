"""How the prompt begins where T5X initialises it: ptune's initialisers, with ptune's keys."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ptune_cli.errors import UserError
from ptune_cli.formats import t5x
from ptune_cli.prompts.init import FromFile, Initializer, Uniform, first_key

EMBEDDINGS = "token_embedder/embedding"


@dataclass(frozen=True)
class FirstPrompt:
    """The start of a prompt, the same as `ptune train`'s of the same seed. `checkpoint` is T5X's, whose embeddings it reads."""

    init: Initializer = Uniform()
    seed: int = 0
    checkpoint: str | None = None
    vocabulary: Any = None  # seqio's

    def __call__(self, key: jax.Array, shape: tuple[int, int]) -> jax.Array:
        """[P, D] float32. UserError where embeddings are needed and no checkpoint is given.

        T5X's key is left alone: while it traces its initialisation a key is no number, which choosing among embeddings takes.
        """
        length, width = shape
        with jax.ensure_compile_time_eval():
            return self.init(first_key(self.seed), length, self._embeddings(width), self.vocabulary)

    def _embeddings(self, width: int) -> np.ndarray:
        if isinstance(self.init, Uniform | FromFile):
            return np.empty((0, width), np.float32)
        if self.checkpoint is None:
            kind = type(self.init).__name__
            raise UserError(
                f"{kind} starts from embeddings, and no checkpoint is given", "set PROMPT_EMBEDDINGS to a T5X checkpoint"
            )
        return t5x.read_array(self.checkpoint, EMBEDDINGS)
