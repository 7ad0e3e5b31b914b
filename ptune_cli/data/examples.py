"""What a run trains on: tokenised examples, in which order they are seen, laid out how and cut to which lengths."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np


class Examples(Protocol):
    """Tokenised examples without EOS, as `data.prepared.Prepared` holds them."""

    def __len__(self) -> int: ...
    def inputs(self, i: int) -> np.ndarray: ...
    def targets(self, i: int) -> np.ndarray: ...


@dataclass(frozen=True)
class Source:
    """What one member trains on: its examples, its order's seed, and where its prompt's slots go among the ids."""

    examples: Examples
    seed: int
    layout: Callable[[np.ndarray], np.ndarray]
    targets_end: bool = True  # in EOS; a prefix LM's end in it only where the text does, and have it among their tokens

    def order(self, start: int, count: int) -> np.ndarray:
        """Indices [count] of the examples at positions start.. of what the member sees."""
        return order(self.seed, len(self.examples), start, count)

    def example(self, i: int, lengths: "Lengths") -> tuple[np.ndarray, np.ndarray]:
        """Input ids, laid out, and target ids of an example."""
        ids = self.layout(lengths.input_ids(self.examples.inputs(i)))
        return ids, lengths.target_ids(self.examples.targets(i), self.targets_end)


class Drawn(Protocol):
    """What a member's rows are drawn from: a `Source`, or several as a `data.mixture.Mixture`."""

    @property
    def seed(self) -> int: ...
    def order(self, start: int, count: int) -> np.ndarray: ...
    def example(self, i: int, lengths: "Lengths") -> tuple[np.ndarray, np.ndarray]: ...


@dataclass(frozen=True)
class Lengths:
    """The limits of one example in tokens, EOS included, prompt not. Longer inputs are cut before EOS, as seqio does."""

    inputs: int
    targets: int
    prompt: int = 0  # rows of the longest prompt that is laid out among the inputs
    eos_id: int = 1

    @property
    def longest(self) -> int:
        """Positions of the longest row, its prompt included."""
        return self.inputs + self.prompt

    def input_ids(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        return np.append(ids[: self.inputs - 1], self.eos_id).astype(np.int32)

    def target_ids(self, ids: Sequence[int] | np.ndarray, end: bool = True) -> np.ndarray:
        if not end:
            return np.asarray(ids[: self.targets], np.int32)
        return np.append(ids[: self.targets - 1], self.eos_id).astype(np.int32)


def order(seed: int, examples: int, start: int, count: int) -> np.ndarray:
    """Indices [count] of the examples at positions start.. of an endless sequence of shuffled epochs."""
    positions = np.arange(start, start + count)
    epochs, offsets = np.divmod(positions, examples)
    return np.array([_shuffled(seed, examples, int(e))[o] for e, o in zip(epochs, offsets, strict=True)], np.int64)


@lru_cache(maxsize=64)
def _shuffled(seed: int, examples: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(examples)
