"""Training batches: which rows, in which order, laid out how. Batch t is a pure function of (seed, t).

Nothing is carried from one step to the next, so resuming costs nothing and the order does not depend on how many hosts
or microbatches there are. A step's examples are laid into rows, one in each or several (`data.packing`), which are sorted by
length and cut into microbatches of a few shapes (`data.microbatches`): the same loss and gradient as padding every example to the
longest, for a fraction of the work.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ptune_cli.data.batch import Batch, joined
from ptune_cli.data.examples import Drawn, Lengths
from ptune_cli.data.microbatches import COSTS, Cost, Shape, choose, cut, total
from ptune_cli.data.packing import Room, pack, room_for

SAMPLED = 16  # steps whose lengths choose the shapes
PACKING_SAVES = 0.05  # of the cost, at least: the cost knows nothing of the decoder, whose rows are packed worse
LENGTHS_OF_PACKED_ROWS = (1, 1.5, 2, 3)  # of the longest example: more leave less padding, and have more pairs to attend


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
        return self._chosen[1]

    @property
    def room(self) -> Room:
        """What a row has room for."""
        return self._chosen[0]

    @cached_property
    def _chosen(self) -> tuple[Room, tuple[Shape, ...]]:
        """The cheapest kind of row, from the lengths of the first steps, and its shapes."""
        steps = [_lengths(list(self._examples(step))) for step in range(SAMPLED)]
        found = []
        for room in self._candidates(steps):
            rows = [[sum(inputs[i] for i in row) for row in pack(inputs, targets, room)] for inputs, targets in steps]
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

    def indices(self, step: int) -> list[np.ndarray]:
        """For each member, the indices [size] of the examples it sees at this step."""
        return [source.order(step * self.size, self.size) for source in self.sources]

    def __call__(self, step: int) -> list[Batch]:
        """The microbatches of a step, shortest rows first."""
        examples = list(self._examples(step))
        rows = [[examples[i] for i in row] for row in pack(*_lengths(examples), self.room)]
        parts = cut([sum(len(example.inputs) for example in row) for row in rows], self.shapes, self.cost)
        return [self._batch(rows[part.start : part.stop], part.shape) for part in parts]

    def _examples(self, step: int) -> Iterator[Example]:
        for k, (source, indices) in enumerate(zip(self.sources, self.indices(step), strict=True)):
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
