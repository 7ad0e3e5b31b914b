"""SIGTERM and SIGINT as something to pass on, instead of the end of this process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Signals:
    """The signals that came: the first is kept, the second interrupts."""

    def __init__(self) -> None:
        self.first: int | None = None

    def come(self, number: int, _: object) -> None:
        """What Python calls on a signal."""
        if self.first is not None:
            raise KeyboardInterrupt
        self.first = number


@contextmanager
def signals() -> Iterator[Signals]:
    """SIGTERM and SIGINT are kept, instead of ending this process."""
    kept = Signals()
    before = {number: signal.signal(number, kept.come) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield kept
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
