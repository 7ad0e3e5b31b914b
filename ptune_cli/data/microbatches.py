"""How a step's rows are cut into microbatches: of few shapes, chosen before the run from the lengths that its data has.

A step's rows, sorted by length, are cut into microbatches of whole shapes [rows, length]. Each is padded to its length and
filled up with empty rows, so a run compiles a handful of programs, all known before it starts. Which shapes there are, and which
of them a step is cut into, minimises what the device takes by `Cost`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

MOST = 8  # shapes of a run; each takes seconds to compile
LEAST_GAIN = 0.01  # of the cost: what one more shape has to save
GRID = 16  # lengths of shapes are multiples of it, but for the longest


class Shape(NamedTuple):
    """Of the encoder's ids: rows, and positions of each, the prompt included."""

    rows: int
    length: int


class Part(NamedTuple):
    """A microbatch: rows `start` to `stop` of a step that is sorted by length."""

    start: int
    stop: int
    shape: Shape


@dataclass(frozen=True)
class Cost:
    """What a microbatch takes on a kind of device, in positions: `benchmarks.shapes` measures it."""

    positions: int  # the most that are computed at once, unless a single row has more
    fixed: int  # what a microbatch takes besides its positions
    attention: int  # a position takes twice as much in a row of this length as in a short one
    multiple: int = 1  # of which lengths are: GPUs compute in tiles, and slower where a length is odd to them
    parts: int = 1  # that rows are split into, of equal numbers: the data axis of a mesh

    def split(self, parts: int) -> "Cost":
        """The same where so many devices, or groups that share weights, take equal parts of a microbatch's rows."""
        return replace(self, positions=self.positions * parts, fixed=self.fixed * parts, parts=parts)

    def of(self, shape: Shape) -> float:
        """Positions with what each takes more in a long row, and the fixed part."""
        return self.fixed + shape.rows * shape.length * (1 + shape.length / self.attention)

    def rounded(self, length: int) -> int:
        """The next length that the device likes."""
        return -(-length // self.multiple) * self.multiple

    def rows(self, count: float) -> int:
        """The next number of rows that can be split."""
        return -(-math.ceil(count) // self.parts) * self.parts


# On a CPU a microbatch has to fit its caches. On two cores with T5 1.1 small a position takes 0.59 ms in 12 rows of 128, 0.63 in
# 6 of 256, 0.76 in 2 of 612 and 0.81 in 4 of 612; 2 rows of 128 take 216 ms, more than their share by 50 positions or more.
# On an H200 T5 1.1 base in bfloat16 takes 6 ms for any microbatch that is waited for, 1.6 us for each of its positions in rows of
# 128 or 256 and 1.8 in rows of 512. Attention over 612 positions took 2.1 times what it took over 512, of 1.4 times the pairs.
# Those of a TPU are guesses.
COSTS = {"cpu": Cost(1_500, 50, 2_200), "gpu": Cost(65_536, 4_000, 2_000, 64), "tpu": Cost(65_536, 4_000, 2_000, 128)}


def choose(steps: Sequence[Sequence[int]], longest: int, cost: Cost) -> tuple[Shape, ...]:
    """The shapes for steps whose rows have these lengths, shortest first; rows of up to `longest` positions have a place.

    Steps may have different numbers of rows.
    Greedy: the shape that saves most is added until it saves less than LEAST_GAIN, or there are MOST.
    """
    sorted_steps, longest = _sorted(steps), cost.rounded(longest)
    rows = sorted_steps.shape[1]
    candidates = _candidates(min(min(step) for step in steps), longest, rows, cost)
    chosen = [_fitting(longest, rows, cost)]
    now = _total(sorted_steps, chosen, cost)
    gains = {shape: np.inf for shape in candidates}
    while len(chosen) < MOST:
        best, total = _best(sorted_steps, chosen, gains, now, cost)
        if best is None or now - total < LEAST_GAIN * now:
            break
        chosen.append(best)
        now = total
    return tuple(sorted(chosen, key=lambda shape: (shape.length, shape.rows)))


def cut(lengths: Sequence[int], shapes: Sequence[Shape], cost: Cost) -> list[Part]:
    """The cheapest microbatches of a step, whose rows have these lengths in ascending order; the shortest first."""
    costs, froms = _cheapest(np.asarray(lengths)[None], shapes, cost)
    parts, stop = [], len(lengths)
    while stop:
        shape = shapes[int(froms[0, stop])]
        start = max(stop - shape.rows, 0)
        parts.append(Part(start, stop, shape))
        stop = start
    return parts[::-1]


def total(steps: Sequence[Sequence[int]], shapes: Sequence[Shape], cost: Cost) -> float:
    """What steps whose rows have these lengths take in the cheapest microbatches of these shapes."""
    return _total(_sorted(steps), shapes, cost)


def padded_length(length: int) -> int:
    """The next of a few lengths, four in each doubling from 16 on, so that less than a quarter is padding."""
    step = max(4, 2 ** max(length - 1, 1).bit_length() // 8)
    return -(-max(length, 8) // step) * step


def rows_of(length: int, cost: Cost) -> int:
    """How many rows of a length are computed at once."""
    return max(cost.positions // length // cost.parts, 1) * cost.parts


def _sorted(steps: Sequence[Sequence[int]]) -> np.ndarray:
    """Lengths [n, N] of n steps in ascending order, zeros in front where a step has fewer rows than another."""
    most = max(len(step) for step in steps)
    return np.sort([[0] * (most - len(step)) + list(step) for step in steps], axis=1)


def _candidates(shortest: int, longest: int, rows: int, cost: Cost) -> list[Shape]:
    lengths = sorted({min(cost.rounded(-(-n // GRID) * GRID), longest) for n in range(shortest, longest + 1)})
    return [shape for length in lengths for shape in _of_length(length, rows, cost)]


def _of_length(length: int, rows: int, cost: Cost) -> list[Shape]:
    """As many rows as fit, and fewer, for what is left over."""
    most = min(rows_of(length, cost), cost.rows(rows))
    return [Shape(n, length) for n in sorted({cost.rows(most / parts) for parts in (1, 2, 3, 4)})]


def _fitting(longest: int, rows: int, cost: Cost) -> Shape:
    return Shape(min(rows_of(longest, cost), cost.rows(rows)), longest)


def _best(steps: np.ndarray, chosen: list[Shape], gains: dict[Shape, float], now: float, cost: Cost):
    """The candidate that saves most, and the cost with it. `gains` has what each saved when it was last tried.

    What one saves falls as others are chosen, near enough: those that saved less than the best so far are not tried again.
    """
    best, total = None, now
    for shape in sorted(gains, key=gains.__getitem__, reverse=True):
        if gains[shape] <= now - total:
            break
        with_it = _total(steps, [*chosen, shape], cost)
        gains[shape] = now - with_it
        if with_it < total:
            best, total = shape, with_it
    return best, total


def _total(steps: np.ndarray, shapes: Sequence[Shape], cost: Cost) -> float:
    return float(_cheapest(steps, shapes, cost)[0][:, -1].sum())


def _cheapest(steps: np.ndarray, shapes: Sequence[Shape], cost: Cost) -> tuple[np.ndarray, np.ndarray]:
    """[n, N+1] of n steps sorted by length: what the first i rows take at least, and the shape of their last microbatch."""
    rows, lengths = np.array([s.rows for s in shapes]), np.array([s.length for s in shapes])
    each = np.array([cost.of(shape) for shape in shapes])
    costs = np.zeros((len(steps), steps.shape[1] + 1))
    froms = np.zeros_like(costs, dtype=np.int32)
    for i in range(1, steps.shape[1] + 1):
        fits = lengths >= steps[:, i - 1, None]
        taken = np.where(fits, costs[:, np.maximum(i - rows, 0)] + each, np.inf)
        froms[:, i] = taken.argmin(axis=1)
        costs[:, i] = np.where(steps[:, i - 1] == 0, 0.0, taken.min(axis=1))  # no row, which costs nothing
    return costs, froms
