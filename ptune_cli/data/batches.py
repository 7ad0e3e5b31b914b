"""Training batches: which rows, in which order, laid out how. Batch t is a pure function of (seed, t).

Nothing is carried from one step to the next, so resuming costs nothing and the order does not depend on how many hosts
or microbatches there are. A step's rows are sorted by length and cut into microbatches of a few shapes (`data.microbatches`):
the same loss and gradient as padding all of them to the longest, for a fraction of the work.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np

from ptune_cli.data.microbatches import COSTS, Cost, Shape, choose, cut

if TYPE_CHECKING:
    import jax

Ids: TypeAlias = "np.ndarray | jax.Array"  # NumPy's as they are made here, JAX's inside a compiled step

SAMPLED = 16  # steps whose lengths choose the shapes


class Batch(NamedTuple):
    """One microbatch, all int32. Ids < 0 are prompt slots; segments are 0 at padding and number the examples of a row."""

    encoder_ids: Ids  # [B, T]
    encoder_segments: Ids  # [B, T]
    targets: Ids  # [B, S], with EOS, 0 padded
    target_segments: Ids  # [B, S]
    member: Ids  # [B], whose row this is
    dropout: Ids  # [B, 3]: member's seed, step, row of the member's batch; all that a row's dropout depends on


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


class Row(NamedTuple):
    """An example of a step: its ids, laid out, whose it is and what its dropout depends on."""

    inputs: np.ndarray
    targets: np.ndarray
    member: int
    dropout: tuple[int, int, int]


NOTHING = Row(np.zeros(0, np.int32), np.zeros(0, np.int32), 0, (0, 0, 0))  # fills a shape up; without a target it has no loss


@dataclass(frozen=True)
class Batches:
    """The batches of a bank: at each step `size` rows for each member, in microbatches whose shapes suit the device."""

    sources: Sequence[Drawn]
    size: int
    lengths: Lengths
    cost: Cost = COSTS["cpu"]

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """All shapes that there may be, from the lengths of the first steps."""
        steps = [[len(row.inputs) for row in self._rows(step)] for step in range(SAMPLED)]
        return choose(steps, self.lengths.longest, self.cost)

    def empty(self, shape: Shape) -> Batch:
        """A microbatch of a shape, without rows: what its program can be compiled for."""
        return self._pad((), shape)

    def empties(self) -> list[Batch]:
        """A microbatch without rows of each shape, those of the first step first: all that a run's programs are compiled for."""
        first = [Shape(*part.encoder_ids.shape) for part in self(0)]
        return [self.empty(shape) for shape in dict.fromkeys([*first, *self.shapes])]

    def rows(self, step: int) -> list[np.ndarray]:
        """For each member, the indices [size] of the examples it sees at this step."""
        return [source.order(step * self.size, self.size) for source in self.sources]

    def __call__(self, step: int) -> list[Batch]:
        """The microbatches of a step, shortest first."""
        laid = sorted(self._rows(step), key=lambda row: len(row.inputs))
        parts = cut([len(row.inputs) for row in laid], self.shapes, self.cost)
        return [self._pad(laid[part.start : part.stop], part.shape) for part in parts]

    def _rows(self, step: int) -> Iterator[Row]:
        for k, (source, indices) in enumerate(zip(self.sources, self.rows(step), strict=True)):
            for row, i in enumerate(indices):
                yield Row(*source.example(int(i), self.lengths), k, (source.seed, step, row))

    def _pad(self, rows: Sequence[Row], shape: Shape) -> Batch:
        inputs, targets, members, dropout = zip(*rows, *[NOTHING] * (shape.rows - len(rows)), strict=True)
        encoder_ids, padded_targets = pad(inputs, shape.length), pad(targets, self.lengths.targets)
        segments = (encoder_ids != 0).astype(np.int32), (padded_targets != 0).astype(np.int32)
        member = np.array(members, np.int32)
        return Batch(encoder_ids, segments[0], padded_targets, segments[1], member, np.array(dropout, np.int32))


def order(seed: int, examples: int, start: int, count: int) -> np.ndarray:
    """Indices [count] of the examples at positions start.. of an endless sequence of shuffled epochs."""
    positions = np.arange(start, start + count)
    epochs, offsets = np.divmod(positions, examples)
    return np.array([_shuffled(seed, examples, int(e))[o] for e, o in zip(epochs, offsets, strict=True)], np.int64)


@lru_cache(maxsize=64)
def _shuffled(seed: int, examples: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(examples)


def pad(rows: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Rows of ids as one [B, length] int32 array, zeros behind."""
    out = np.zeros((len(rows), length), np.int32)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out
