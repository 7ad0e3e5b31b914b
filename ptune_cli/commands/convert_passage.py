"""What parameters pass through on their way from a reader to a writer: rounded, fingerprinted on both sides of that, counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ptune_cli.formats.strict import Put, finite, float_dtype
from ptune_cli.t5.fingerprint import Samples

Index = tuple[slice, ...]


class Passage:
    """A `put` for a reader, which hands on to a writer's. `before` and `after` are fingerprints in the making.

    Parts keep their size: what a writer asks for is what is held. UserError for a number that is too large for `dtype`.
    """

    def __init__(self, put: Put, dtype: str, source: str, advance: Callable[[int], None]):
        self.before, self.after = Samples(), Samples()
        self._put, self._dtype, self._source, self._advance = put, float_dtype(dtype), source, advance

    def __call__(self, name: str, shape: tuple[int, ...], read: Callable[[Index], np.ndarray]) -> None:
        """Hand a parameter on."""

        def part(index: Index) -> np.ndarray:
            values = read(index)
            self.before.add(name, shape, index, values)
            if values.dtype != self._dtype:
                values = finite(name, values, self._dtype, self._source)
            self.after.add(name, shape, index, values)
            self._advance(values.size)
            return values

        self._put(name, shape, part)


@contextmanager
def bar(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal. Yields a function that is told of every `n` parameters of `total`."""
    console = Console(stderr=True)
    columns = TextColumn("parameters"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn()
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task("", total=total)
    with progress:
        yield lambda n: progress.advance(task, n)
