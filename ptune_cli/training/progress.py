"""What a person sees while a run trains: a bar in a terminal, plain lines in a file."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Reporter:
    """Progress of a run on standard error, with loss, examples/s and tokens/s since the last report."""

    def __init__(self, steps: int, start: int):
        self.console = Console(stderr=True)
        self._steps, self._first = steps, start
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
        """Examples/s and tokens/s since the last call."""
        now = time.perf_counter()
        seconds, self._since = max(now - self._since, 1e-9), now
        rates = {"examples_per_second": self._examples / seconds, "tokens_per_second": self._tokens / seconds}
        self._examples = self._tokens = 0
        return rates

    def pause(self) -> None:
        """Leave out of the rates what came since the last step (evaluation, saving)."""
        self._since = time.perf_counter()

    def show(self, step: int, loss: float, rates: Mapping[str, float]) -> None:
        """One report: the bar moves, or a line is printed."""
        words = (
            f"loss {loss:.3f}  {rates['examples_per_second']:.0f} examples/s  {rates['tokens_per_second']:,.0f} tokens/s"
        )
        self._bar.update(self._task, completed=step, description=words)
        if not self._shown:
            left = ""
            if rates["examples_per_second"] and step > self._first:
                left = f"  {self._bar.tasks[0].time_remaining or 0:.0f} s left"
            self.say(f"step {step}/{self._steps}  {words}{left}")

    def say(self, line: str) -> None:
        """A line above the bar."""
        self.console.print(line, highlight=False, soft_wrap=True)
