"""Predictions for laid-out inputs: decoded text, or the log-likelihood of each label. Every input exactly once.

Inputs are sorted by length and cut into batches of one size; the last is filled with empty rows, whose results are dropped
by position. A batch may mix the prompts of a bank: the ids say which row of the table goes where.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli.data.batches import compiled_length, pad
from ptune_cli.errors import UserError
from ptune_cli.prompts.bank import vectors
from ptune_cli.t5 import generate
from ptune_cli.t5.beam import beam_search
from ptune_cli.t5.model import T5


class Predictor:
    """The compiled predictions of one model. `batch` rows at once, `length` tokens decoded at most, `beams` in a search."""

    def __init__(self, model: T5, batch: int = 64, length: int = 8, beams: int = 1):
        self._model, self._batch = model, batch
        self._beam = jax.jit(lambda *args: beam_search(model, args[0], *self._encode(*args), length, beams))
        self._greedy = jax.jit(lambda *args: generate.greedy(model, args[0], *self._encode(*args), length))
        self._rank = jax.jit(lambda labels, *args: generate.log_likelihoods(model, args[0], *self._encode(*args), labels))

    def greedy(self, params: Any, prompt_table: jax.Array, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Ids [N, length] int32, zeros after EOS, of inputs [N] of ids [T] (tokens with EOS, and prompt slots)."""
        return self._in_batches(inputs, lambda ids: self._greedy(params, prompt_table, ids))

    def beam(self, params: Any, prompt_table: jax.Array, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """As `greedy`, by T5X's beam search."""
        return self._in_batches(inputs, lambda ids: self._beam(params, prompt_table, ids))

    def rank(self, params: Any, prompt_table: jax.Array, inputs: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
        """The summed log-probability [N, L] of each label [L, S] (ids with EOS, 0 padded) for each input."""
        return self._in_batches(inputs, lambda ids: self._rank(jnp.asarray(labels), params, prompt_table, ids))

    def _encode(self, params, prompt_table, ids):
        segments = (ids != 0).astype(jnp.int32)

        def apply(method, *args) -> Any:
            return self._model.apply({"params": params}, *args, method=method)

        x = vectors(lambda tokens: apply("embed", tokens), prompt_table, ids)
        return apply("encode", x, segments), segments

    def _in_batches(self, inputs: Sequence[np.ndarray], predict: Callable[[np.ndarray], jax.Array]) -> np.ndarray:
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i]))
        out: list[Any] = [None] * len(inputs)
        for start in range(0, len(order), self._batch):
            indices = order[start : start + self._batch]
            rows = [inputs[i] for i in indices] + [np.zeros(0, np.int32)] * (self._batch - len(indices))
            found = np.asarray(predict(pad(rows, compiled_length(max(map(len, rows))))))
            for i, row in zip(indices, found, strict=False):
                out[i] = row
        return np.stack(out)


def label_ids(vocabulary: Any, labels: Sequence[str]) -> np.ndarray:
    """The labels as targets [L, S] int32, with EOS, 0 padded. UserError for one that the vocabulary cannot spell."""
    rows = [np.array([*vocabulary.encode(label), vocabulary.eos_id], np.int32) for label in labels]
    for label, ids in zip(labels, rows, strict=True):
        if len(ids) == 1 or vocabulary.unk_id in ids:
            raise UserError(f"the label '{label}' does not tokenise: its ids are {ids.tolist()}", "the model cannot answer it")
    return pad(rows, max(map(len, rows), default=0))
