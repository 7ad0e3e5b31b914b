"""How many programs XLA compiled in this process, and how long that took."""

from typing import Any

from jax import monitoring


class Compilations:
    """Counts from its making on. A program that JAX's cache on disk had is not counted; the seconds it took to read it are."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        monitoring.register_event_duration_secs_listener(self._ended)
        monitoring.register_event_listener(self._happened)

    def _ended(self, event: str, seconds: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            self.count, self.seconds = self.count + 1, self.seconds + seconds

    def _happened(self, event: str, **_: Any) -> None:
        self.count -= event == "/jax/compilation_cache/cache_hits"  # reading one counts as a compilation too
