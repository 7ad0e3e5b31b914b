"""SIGTERM as a question that the training loop asks, instead of a death in the middle of a step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
from jax.experimental import multihost_utils


@contextmanager
def asked_to_stop() -> Iterator[Callable[[int], bool]]:
    """A function that says at a step whether SIGTERM has come: to any of several processes, in which case all are told so at the
    same step. Outside the main thread of a single process signals cannot be caught: never.
    """
    if jax.process_count() > 1:  # JAX catches the signal itself
        yield _Agreed()
        return
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield lambda _: asked.is_set()
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield lambda _: asked.is_set()
    finally:
        signal.signal(signal.SIGTERM, before)


class _Agreed:
    """JAX's question, which every process has to ask once at every step."""

    def __init__(self) -> None:
        self._asked = -1

    def __call__(self, step: int) -> bool:
        if step == self._asked:
            return False
        self._asked = step
        return multihost_utils.reached_preemption_sync_point(step)
