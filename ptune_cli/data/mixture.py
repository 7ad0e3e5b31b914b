"""Several tasks as one sequence of examples, in proportion to their sizes (Raffel et al. 2020, section 3.5.2).

As for one task, what is drawn at a position is a function of (seed, position). The sequence is made of rounds, in each of which
a task has as many places as it counts rows; which rows those are, the task's own shuffled epochs go on to tell.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations, takewhile

import numpy as np

from ptune_cli.data.examples import Examples, Lengths, Source, order

LOOKED_AT = 100  # rows of each task, to see how its inputs begin


@dataclass(frozen=True)
class Mixture:
    """What one member trains on, of several tasks. A task counts as `limit` rows at most, T5's K; 1 makes all equal.

    Examples are numbered through, those of the first task first. The seed is the first source's. Without a limit a round has
    every row of every task once, and of a single task it is an epoch.
    """

    sources: Sequence[Source]
    limit: int | None = None

    @property
    def seed(self) -> int:
        return self.sources[0].seed

    @cached_property
    def counted(self) -> tuple[int, ...]:
        """How many places each task has in a round."""
        return tuple(min(len(source.examples), self.limit or len(source.examples)) for source in self.sources)

    @property
    def rates(self) -> list[float]:
        """The share of each task, in percent."""
        return [100 * count / sum(self.counted) for count in self.counted]

    def order(self, start: int, count: int) -> np.ndarray:
        """Indices [count] of the examples at positions start.. of an endless sequence of shuffled rounds."""
        rounds, places = np.divmod(np.arange(start, start + count), sum(self.counted))
        return np.array([self._at(int(number), place) for number, place in zip(rounds, places, strict=True)], np.int64)

    def example(self, i: int, lengths: Lengths) -> tuple[np.ndarray, np.ndarray]:
        """Input and target ids of an example, as its own task lays them out."""
        task = int(np.searchsorted(self._first, i, side="right")) - 1
        return self.sources[task].example(i - int(self._first[task]), lengths)

    @cached_property
    def _first(self) -> np.ndarray:
        """The index of each task's first example."""
        return np.cumsum([0, *(len(source.examples) for source in self.sources[:-1])])

    def _at(self, number: int, place: int) -> int:
        tasks, turns = _round(self.seed, self.counted, number)
        task = tasks[place]
        source, turn = self.sources[task], number * self.counted[task] + int(turns[place])
        return int(self._first[task] + order(source.seed, len(source.examples), turn, 1)[0])


@lru_cache(maxsize=64)
def _round(seed: int, counted: tuple[int, ...], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each place of a round, the task, and how many places before it are the same task's."""
    tasks = np.repeat(np.arange(len(counted)), counted)
    # A third number, so that the places are not shuffled as the rows of a task of the same size are.
    tasks = np.random.default_rng((seed, number, len(counted))).permutation(tasks)
    turns = np.empty_like(tasks)
    for task, count in enumerate(counted):
        turns[tasks == task] = np.arange(count)
    return tasks, turns


def alike(tasks: Mapping[str, Examples]) -> Iterator[tuple[str, str]]:
    """Pairs of tasks that a model cannot tell apart by how their inputs begin: one begins as the other, or anyhow."""
    beginnings = {name: _beginning(examples) for name, examples in tasks.items()}
    for (one, first), (other, second) in combinations(beginnings.items(), 2):
        shared = min(len(first), len(second))
        if first[:shared] == second[:shared]:
            yield one, other


def _beginning(examples: Examples) -> list[int]:
    """The ids that all inputs begin with."""
    inputs = [examples.inputs(i) for i in range(min(len(examples), LOOKED_AT))]
    columns = zip(*inputs, strict=False)
    return [int(column[0]) for column in takewhile(lambda column: len(set(column)) == 1, columns)]
