"""Pre-training objectives: span corruption (T5) and prefix LM (the paper's LM adaptation), as batches of (seed, step)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptune_cli.data.batch import Batch, pad
from ptune_cli.data.microbatches import padded_length
from ptune_cli.data.text import Text
from ptune_cli.errors import UserError
from tasks.objectives import Pair, corrupt, split_prefix, window

EOS = 1


@dataclass(frozen=True, kw_only=True)
class SpanCorruption:
    """T5's objective (Raffel et al. 2020, 3.1.4): 15% of the tokens, in spans of 3 on average, become one sentinel each
    in the input; the target is each sentinel followed by what it hides. Inputs come out `length` long, EOS included."""

    length: int = 128
    density: float = 0.15
    mean_span: float = 3.0

    def window(self) -> int:
        """The most tokens of text whose corrupted form still fits in `length`."""
        return window(self.length, self.density, self.mean_span)

    def __call__(self, text: Text, sentinel: Callable[[int], int], rng: np.random.Generator) -> Pair:
        size = self.window()
        start = int(rng.integers(0, max(len(text.ids) - size, 1)))
        ids = np.asarray(text.ids[start : start + size], np.int32)
        inputs, targets = corrupt(ids, sentinel, rng, self.density, self.mean_span)
        return Pair(_ended(inputs), _ended(targets))


@dataclass(frozen=True, kw_only=True)
class PrefixLM:
    """LM adaptation (Lester et al. 2021, 2.2): the beginning of a text is the input, its natural continuation the target.

    A window never crosses documents, and the target ends in EOS only where the document does, so the adapted model knows
    when to stop. Where a document is shorter than the window it is split anywhere.
    """

    inputs: int = 64  # EOS included
    targets: int = 64

    def __call__(self, text: Text, sentinel: Callable[[int], int], rng: np.random.Generator) -> Pair:
        size = self.inputs - 1 + self.targets
        document = text.document(int(rng.integers(0, len(text.ids))))
        start = int(rng.integers(0, max(len(document) - size, 0) + 1))
        ids = np.asarray(document[start : start + size], np.int32)
        prefix, continuation = split_prefix(ids, self.inputs, self.targets, rng)
        return Pair(_ended(prefix), continuation)


def _ended(ids: np.ndarray) -> np.ndarray:
    return np.append(ids, EOS).astype(np.int32)


Objective = SpanCorruption | PrefixLM


@dataclass(frozen=True)
class TextBatches:
    """Pre-training batches: like `data.batches.Batches`, a pure function of (seed, step), shortest microbatch first."""

    text: Text
    objective: Objective
    sentinel: Callable[[int], int]
    size: int
    seed: int = 0
    microbatches: int = 1

    def __post_init__(self):
        if self.size < 1 or self.microbatches < 1 or self.size % self.microbatches:
            raise UserError(f"{self.size} rows a step do not divide into {self.microbatches} microbatches")

    def __call__(self, step: int) -> list[Batch]:
        pairs = [self.objective(self.text, self.sentinel, self._rng(step, row)) for row in range(self.size)]
        order = sorted(range(self.size), key=lambda row: len(pairs[row].inputs))
        part = self.size // self.microbatches
        return [self._pad([(pairs[row], row) for row in order[i : i + part]], step) for i in range(0, self.size, part)]

    def _rng(self, step: int, row: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, step, row))

    def _pad(self, rows: list[tuple[Pair, int]], step: int) -> Batch:
        inputs = pad([p.inputs for p, _ in rows], padded_length(max(len(p.inputs) for p, _ in rows)))
        targets = pad([p.targets for p, _ in rows], padded_length(max(len(p.targets) for p, _ in rows)))
        segments = (inputs != 0).astype(np.int32), (targets != 0).astype(np.int32)
        dropout = np.array([[(self.seed, step, row)] for _, row in rows], np.int32)
        return Batch(inputs, segments[0], targets, segments[1], np.zeros((len(rows), 1), np.int32), dropout)
