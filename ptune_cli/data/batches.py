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

from ptune_cli.data.microbatches import COSTS, Cost, Shape, choose, cut, total
from ptune_cli.data.packing import Room, pack, room_for

if TYPE_CHECKING:
    import jax

Ids: TypeAlias = "np.ndarray | jax.Array"  # NumPy's as they are made here, JAX's inside a compiled step

SAMPLED = 16  # steps whose lengths choose the shapes
PACKING_SAVES = 0.05  # of the cost, at least: the cost knows nothing of the decoder, whose rows are packed worse
LENGTHS_OF_PACKED_ROWS = (1, 1.5, 2, 3)  # of the longest example: more leave less padding, and have more pairs to attend


class Batch(NamedTuple):
    """One microbatch, all int32. Ids < 0 are prompt slots; segments are 0 at padding and number the examples of a row."""

    encoder_ids: Ids  # [B, T]
    encoder_segments: Ids  # [B, T]
    targets: Ids  # [B, S], with EOS, 0 padded
    target_segments: Ids  # [B, S]
    member: Ids  # [B, E], whose each of a row's examples is
    dropout: Ids  # [B, E, 3]: member's seed, step, row of the member's batch; all that an example's dropout depends on


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


class Example(NamedTuple):
    """An example of a step: its ids, laid out, whose it is and what its dropout depends on."""

    inputs: np.ndarray
    targets: np.ndarray
    member: int
    dropout: tuple[int, int, int]


@dataclass(frozen=True)
class Batches:
    """The batches of a bank: at each step `size` examples for each member, in microbatches whose shapes suit the device.

    `packing` is whether several examples may share a row; None: where that is faster.
    """

    sources: Sequence[Drawn]
    size: int
    lengths: Lengths
    cost: Cost = COSTS["cpu"]
    packing: bool | None = None

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """All shapes of the encoder's ids that there may be."""
        return self._rooms[1]

    @property
    def room(self) -> Room:
        """What a row has room for."""
        return self._rooms[0]

    @cached_property
    def _rooms(self) -> tuple[Room, tuple[Shape, ...]]:
        """The cheapest kind of row, from the lengths of the first steps, and its shapes."""
        steps = [_lengths(list(self._examples(step))) for step in range(SAMPLED)]
        found = []
        for room in self._candidates(steps):
            rows = [[sum(step[0][i] for i in row) for row in pack(*step, room)] for step in steps]
            shapes = choose(rows, room.positions, self.cost)
            saving = PACKING_SAVES if room.examples > 1 else 0.0
            found.append((total(rows, shapes, self.cost) * (1 + saving), room, shapes))
        return min(found)[1:]

    def _candidates(self, steps: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[Room]:
        longest, targets = self.lengths.longest, self.lengths.targets
        alone = Room(longest, targets, 1)
        shared = [room_for(steps, self.cost.rounded(int(times * longest)), targets) for times in LENGTHS_OF_PACKED_ROWS]
        return {None: [alone, *shared], True: shared, False: [alone]}[self.packing]

    def empty(self, shape: Shape) -> Batch:
        """A microbatch of a shape, without rows: what its program can be compiled for."""
        return self._batch((), shape)

    def empties(self) -> list[Batch]:
        """A microbatch without rows of each shape, those of the first step first: all that a run's programs are compiled for."""
        first = [Shape(*part.encoder_ids.shape) for part in self(0)]
        return [self.empty(shape) for shape in dict.fromkeys([*first, *self.shapes])]

    def rows(self, step: int) -> list[np.ndarray]:
        """For each member, the indices [size] of the examples it sees at this step."""
        return [source.order(step * self.size, self.size) for source in self.sources]

    def __call__(self, step: int) -> list[Batch]:
        """The microbatches of a step, shortest rows first."""
        examples = list(self._examples(step))
        rows = [[examples[i] for i in row] for row in pack(*_lengths(examples), self.room)]
        parts = cut([sum(len(example.inputs) for example in row) for row in rows], self.shapes, self.cost)
        return [self._batch(rows[part.start : part.stop], part.shape) for part in parts]

    def _examples(self, step: int) -> Iterator[Example]:
        for k, (source, indices) in enumerate(zip(self.sources, self.rows(step), strict=True)):
            for row, i in enumerate(indices):
                yield Example(*source.example(int(i), self.lengths), k, (source.seed, step, row))

    def _batch(self, rows: Sequence[Sequence[Example]], shape: Shape) -> Batch:
        """Rows and empty ones that fill the shape up; without a target these have no loss."""
        b, e = shape.rows, self.room.examples
        inputs = joined([[example.inputs for example in row] for row in rows], b, shape.length)
        targets = joined([[example.targets for example in row] for row in rows], b, self.room.targets)
        member, dropout = np.zeros((b, e), np.int32), np.zeros((b, e, 3), np.int32)
        for i, row in enumerate(rows):
            member[i, : len(row)] = [example.member for example in row]
            dropout[i, : len(row)] = [example.dropout for example in row]
        return Batch(*inputs, *targets, member, dropout)


def _lengths(examples: Sequence[Example]) -> tuple[list[int], list[int]]:
    """Of their inputs and of their targets."""
    return [len(example.inputs) for example in examples], [len(example.targets) for example in examples]


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


def joined(rows: Sequence[Sequence[np.ndarray]], count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and segments [count, length] int32 of rows of examples one behind another, zeros elsewhere."""
    ids, segments = np.zeros((2, count, length), np.int32)
    for i, row in enumerate(rows):
        start = 0
        for number, example in enumerate(row, start=1):
            stop = start + len(example)
            ids[i, start:stop], segments[i, start:stop] = example, number
            start = stop
    return ids, segments
