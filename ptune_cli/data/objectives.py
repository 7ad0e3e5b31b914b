"""Pre-training objectives: span corruption (T5) and prefix LM (the paper's LM adaptation), as batches of (seed, step)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ptune_cli.data.batches import Batch, compiled_length, pad
from ptune_cli.data.text import Text
from ptune_cli.errors import UserError

EOS = 1


class Pair(NamedTuple):
    """Inputs [T] and targets [S] of one example, EOS included where the objective puts one."""

    inputs: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SpanCorruption:
    """T5's objective (Raffel et al. 2020, 3.1.4): 15% of the tokens, in spans of 3 on average, become one sentinel each
    in the input; the target is each sentinel followed by what it hides. Inputs come out `length` long, EOS included."""

    length: int = 128
    density: float = 0.15
    mean_span: float = 3.0

    def counts(self, window: int) -> tuple[int, int]:
        """Hidden tokens and spans in a window of so many tokens."""
        noise = min(max(round(window * self.density), 1), window - 1)
        return noise, max(round(noise / self.mean_span), 1)

    def window(self) -> int:
        """The most tokens of text whose corrupted form still fits in `length`."""
        window = self.length - 1  # fits whatever is hidden: there are at most as many spans as hidden tokens
        while True:
            noise, spans = self.counts(window + 1)
            if window + 1 - noise + spans + 1 > self.length:
                return window
            window += 1

    def __call__(self, text: Text, sentinel: Callable[[int], int], rng: np.random.Generator) -> Pair:
        window = self.window()
        start = int(rng.integers(0, max(len(text.ids) - window, 1)))
        ids = np.asarray(text.ids[start : start + window], np.int32)
        noise, spans = self.counts(len(ids))
        hidden, shown = _partition(noise, spans, rng), _partition(len(ids) - noise, spans, rng)
        inputs, targets, at = [], [], 0
        for i, (keep, hide) in enumerate(zip(shown, hidden, strict=True)):
            mark = np.array([sentinel(i)], np.int32)
            inputs += [ids[at : at + keep], mark]
            targets += [mark, ids[at + keep : at + keep + hide]]
            at += keep + hide
        eos = np.array([EOS], np.int32)
        return Pair(np.concatenate([*inputs, eos]), np.concatenate([*targets, eos]))


def _partition(total: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """`total` as a sum of `parts` random positive numbers, every such sum equally likely."""
    cuts = np.sort(rng.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))


@dataclass(frozen=True, kw_only=True)
class PrefixLM:
    """LM adaptation (Lester et al. 2021, 3.3): the beginning of a text is the input, its natural continuation the target.

    A window never crosses documents, and the target ends in EOS only where the document does, so the adapted model knows
    when to stop. Where a document is shorter than the window it is split anywhere.
    """

    inputs: int = 64  # EOS included
    targets: int = 64

    def __call__(self, text: Text, sentinel: Callable[[int], int], rng: np.random.Generator) -> Pair:
        window = self.inputs - 1 + self.targets
        document = text.document(int(rng.integers(0, len(text.ids))))
        start = int(rng.integers(0, max(len(document) - window, 0) + 1))
        ids = np.asarray(document[start : start + window], np.int32)
        pivot = int(rng.integers(max(len(ids) - self.targets, 0), min(self.inputs, len(ids))))
        return Pair(np.append(ids[:pivot], EOS).astype(np.int32), ids[pivot:])


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
        inputs = pad([p.inputs for p, _ in rows], compiled_length(max(len(p.inputs) for p, _ in rows)))
        targets = pad([p.targets for p, _ in rows], compiled_length(max(len(p.targets) for p, _ in rows)))
        segments = (inputs != 0).astype(np.int32), (targets != 0).astype(np.int32)
        dropout = np.array([(self.seed, step, row) for _, row in rows], np.int32)
        return Batch(inputs, segments[0], targets, segments[1], np.zeros(len(rows), np.int32), dropout)
