"""What a person sees while a run trains: a bar in a terminal, plain lines in a file."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Reporter:
    """Progress of a run on standard error, with loss, examples/s and tokens/s since the last report."""

    def __init__(self, steps: int, start: int):
        self.console = Console(stderr=True)
        self._steps, self._reported = steps, start
        self._since, self._examples, self._tokens = time.perf_counter(), 0, 0
        columns = [TextColumn("step"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn()]
        self._bar = Progress(*columns, console=self.console, transient=True)
        self._task = self._bar.add_task("compiling", total=steps, completed=start)
        self._shown = self.console.is_terminal

    def __enter__(self) -> "Reporter":
        if self._shown:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown:
            self._bar.stop()

    def count(self, examples: int, tokens: int) -> None:
        """Add the work of one step: rows, and positions that are not padding (encoder and decoder)."""
        self._examples += examples
        self._tokens += tokens

    def rates(self) -> dict[str, float]:
        """The seconds of training since the last call, and examples and tokens a second in them."""
        now = time.perf_counter()
        seconds, self._since = max(now - self._since, 1e-9), now
        rates = {
            "seconds": seconds,
            "examples_per_second": self._examples / seconds,
            "tokens_per_second": self._tokens / seconds,
        }
        self._examples = self._tokens = 0
        return rates

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Work that is not training (evaluating, saving): left out of the rates."""
        began = time.perf_counter()
        yield
        self._since += time.perf_counter() - began

    def show(self, step: int, loss: float, rates: Mapping[str, float]) -> None:
        """One report: the bar moves, or a line is printed."""
        words = f"loss {loss:.3f}  {rates['examples_per_second']:.0f} examples/s  {rates['tokens_per_second']:,.0f} tokens/s"
        self._bar.update(self._task, completed=step, description=words)
        if not self._shown:
            left = (self._steps - step) * rates["seconds"] / (step - self._reported)
            self.say(f"step {step}/{self._steps}  {words}  {left:.0f} s left")
        self._reported = step

    def say(self, line: str) -> None:
        """A line above the bar."""
        self.console.print(line, highlight=False, soft_wrap=True)
