"""Compiled programs, each compiled once: ahead of time in threads, or when it is first asked for."""

import os
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from jax.stages import Compiled, Lowered

THREADS = max((os.cpu_count() or 1) // 2, 1)  # XLA compiles one program in several threads: two cores are busy with one

Lowering = Callable[[], Lowered]  # traces a function and makes XLA's input of it


class Programs:
    """Programs by a key that tells them apart. The same key is never compiled twice."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Future[Compiled]] = {}
        self._lowering = threading.Lock()

    def __call__(self, key: Hashable, lower: Lowering) -> Compiled:
        """The program of this key: waited for if it is being compiled, else compiled here and now."""
        if key not in self._found:
            future: Future[Compiled] = Future()
            future.set_result(self._compile(lower))
            self._found[key] = future
        return self._found[key].result()

    @contextmanager
    def ahead(self, lowerings: Mapping[Hashable, Lowering]) -> Iterator[None]:
        """Compile these in threads, in their order, while the body runs. Where it fails, what is not begun is left out."""
        pool = ThreadPoolExecutor(THREADS, "compiling")
        new = {key: lower for key, lower in lowerings.items() if key not in self._found}
        self._found.update({key: pool.submit(self._compile, lower) for key, lower in new.items()})
        try:
            yield
        except BaseException:  # the process is not to compile on when it has nothing to compile for
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown(wait=False)

    def _compile(self, lower: Lowering) -> Compiled:
        # Tracing is Python: two threads at it would finish both programs late. XLA lets go of the interpreter while it compiles.
        with self._lowering:
            lowered = lower()
        return lowered.compile()
