"""Predictions for laid-out inputs: decoded text, or the log-likelihood of each label. Every input exactly once.

Inputs are sorted by length and cut into batches of as many rows as the device computes at once; a batch that is not full is
filled with empty rows, whose results are dropped by position. A batch may mix the prompts of a bank: the ids say which row of
the table goes where. The encoder, which is nearly all of the work, runs once per input, however many protocols read its memory.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track

from ptune_cli import watchdog
from ptune_cli.data.batch import pad
from ptune_cli.data.examples import Lengths
from ptune_cli.data.microbatches import Cost, padded_length, rows_of
from ptune_cli.errors import UserError, nearest
from ptune_cli.prompts.bank import vectors
from ptune_cli.t5 import generate
from ptune_cli.t5.beam import beam_search
from ptune_cli.t5.model import T5
from ptune_cli.t5.sharding import Placement

# Greedy decoding; T5X's beam search, which is what the original code evaluates with; the best of the task's labels.
Protocol = Literal["greedy", "beam", "rank"]


class Predictor:
    """The compiled predictions of one model: what `cost` says at once, `lengths.targets` tokens decoded at most."""

    def __init__(self, model: T5, cost: Cost, lengths: Lengths, beams: int = 1, placement: Placement | None = None):
        self.lengths, self._cost, self._placement = lengths, cost, placement or Placement.of()

        def apply(params, method: str, *args) -> Any:
            return model.apply({"params": params}, *args, method=method)

        def encode(params, prompt_table, ids):
            segments = (ids != 0).astype(jnp.int32)
            x = vectors(lambda tokens: apply(params, "embed", tokens), prompt_table, ids)
            return apply(params, "encode", x, segments), segments

        self._encode = jax.jit(encode, out_shardings=self._placement.by_row)
        length = lengths.targets
        answers = {
            "greedy": partial(generate.greedy, model, length=length),
            "beam": partial(beam_search, model, length=length, beams=beams),
            "rank": partial(generate.log_likelihoods, model),
        }
        everywhere = self._placement.everywhere  # so that every process has every answer
        self._decode = {protocol: jax.jit(answer, out_shardings=everywhere) for protocol, answer in answers.items()}

    def __call__(
        self,
        params: Any,
        prompt_table: jax.Array | np.ndarray,
        inputs: Sequence[np.ndarray],
        protocols: Sequence[Protocol],
        labels: np.ndarray | None = None,
        limits: Sequence[int] | None = None,
    ) -> dict[Protocol, np.ndarray]:
        """What each protocol says of inputs [N] of ids [T] (tokens with EOS, and prompt slots), in their order.

        greedy and beam: ids [N, S] int32, zeros after EOS, and after `limits[i]` tokens where limits are given. rank: the
        summed log-probability [N, L] of each label [L, S] (ids with EOS, 0 padded). UserError for a protocol that there is not.
        """
        for protocol in protocols:
            if protocol not in self._decode:
                raise UserError(f"no protocol '{protocol}'; {nearest(protocol, get_args(Protocol))}")
        prompt_table = self._placement.put(prompt_table)
        ends = np.full(len(inputs), self.lengths.targets, np.int32) if limits is None else np.asarray(limits, np.int32)
        found: dict[Protocol, list[Any]] = {protocol: [None] * len(inputs) for protocol in protocols}
        for indices, length in _shown(self._batches(inputs)):
            empty = rows_of(length, self._cost) - len(indices)
            watchdog.alive()
            rows, end = [inputs[i] for i in indices] + [np.zeros(0, np.int32)] * empty, np.pad(ends[indices], (0, empty))
            memory = self._encode(params, prompt_table, self._placement.put_rows(pad(rows, length)))
            for protocol, out in found.items():
                asked = self._placement.put(labels) if protocol == "rank" else self._placement.put_rows(end)
                answers = np.asarray(self._decode[protocol](params, *memory, asked))
                for i, answer in zip(indices, answers, strict=False):
                    out[i] = answer
        return {protocol: np.stack(out) for protocol, out in found.items()}

    def _batches(self, inputs: Sequence[np.ndarray]) -> list[tuple[list[int], int]]:
        """(indices, length that they are padded to) of each batch, the shortest first.

        A row's own length says what it is padded to and beside how many rows: what is scored with it changes no digit.
        """
        alike: dict[int, list[int]] = {}
        for i in sorted(range(len(inputs)), key=lambda i: len(inputs[i])):
            alike.setdefault(padded_length(len(inputs[i])), []).append(i)
        return [
            (own[start : start + rows], length)
            for length, own in alike.items()
            for rows in [rows_of(length, self._cost)]
            for start in range(0, len(own), rows)
        ]


def _shown(batches: Sequence[Any]) -> Iterable[Any]:
    """A bar on the terminal, gone when it is full; nothing where standard error is a file."""
    console = Console(stderr=True)
    return track(batches, "scoring", console=console, transient=True, disable=not console.is_terminal)


def label_ids(vocabulary: Any, labels: Sequence[str]) -> np.ndarray:
    """The labels as targets [L, S] int32, with EOS, 0 padded. UserError for one that the vocabulary cannot spell."""
    rows = [np.array([*vocabulary.encode(label), vocabulary.eos_id], np.int32) for label in labels]
    for label, ids in zip(labels, rows, strict=True):
        if len(ids) == 1 or vocabulary.unk_id in ids:
            raise UserError(f"the label '{label}' does not tokenise: its ids are {ids.tolist()}", "the model cannot answer it")
    return pad(rows, max(map(len, rows), default=0))
