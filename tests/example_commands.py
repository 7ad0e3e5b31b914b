"""Commands for the tests of configuration and command line: the shapes that real ones have, and no work."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from ptune_cli import config
from ptune_cli.errors import Preempted, RunFailure, UserError

HEAD = "from __gin__ import dynamic_registration\nimport example_commands as ex\nex.Fit.task = 'sst2'\n"


class Initializer(Protocol):
    def draw(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Uniform:
    low: float = 0.0
    high: float = 0.5

    def draw(self) -> str:
        return f"U[{self.low}, {self.high})"


@dataclass(frozen=True, kw_only=True)
class Labels:
    words: tuple[str, ...] = ()  # the words to start from
    rest: Initializer = Uniform()

    def draw(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    shape: Literal["constant", "linear"] = "constant"
    warmup_steps: int = 0

    def __post_init__(self):
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps is {self.warmup_steps}, expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class Adam:
    learning_rate: float | tuple[float, ...] = 0.3  # one, or one per prompt
    schedule: Schedule = Schedule()
    factored: bool = False


@dataclass(frozen=True, kw_only=True)
class SGD:
    learning_rate: float = 0.1

    def __post_init__(self):
        if self.learning_rate < 0:
            raise UserError(f"a learning rate of {self.learning_rate}", "expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class Model:
    checkpoint: str  # a folder
    dtype: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Fit prompts to a task.

    Example: ptune fit sst2 --steps 200
    """

    task: str = field(metadata={"positional": True})  # what to learn
    steps: int = 30_000  # of the optimizer
    seeds: tuple[int, ...] = (0,)
    # where the results go;
    # an existing folder resumes
    output: str | None = None
    optimizer: Adam | SGD = Adam()
    starts: tuple[Initializer, ...] = (Uniform(),)
    model: Model | None = None
    shape: tuple[int, str] = (1, "a")
    remat: bool = True
    dry_run: bool = field(default=False, metadata={"saved": False})

    def run(self) -> int | None:
        if self.task == "broken":
            raise UserError("the task is broken", "choose another")
        if self.task == "full":
            raise OSError(28, "No space left on device", "/runs/state")
        if self.task == "bug":
            raise OSError(2, "No such file or directory")
        if self.task == "stopped":
            raise KeyboardInterrupt
        if self.task == "diverged":
            raise RunFailure("the loss of sst2-0 is not finite at step 3;\nlower the learning rate")
        if self.task == "preempted":
            raise Preempted("stopped at step 3, which is saved")
        print(f"{self.task} for {self.steps} steps" + (", not really" if self.dry_run else ""))
        return 3 if self.task == "partly" else None


@dataclass(frozen=True, kw_only=True)
class Refit(Fit):
    """Fit prompts again."""

    task: str = "cola"


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """Prepare tasks."""

    tasks: tuple[str, ...] = field(metadata={"positional": True})
    json: bool = False

    def run(self) -> None:
        print(list(self.tasks) if self.json else " ".join(self.tasks))


def write(text: str, name: str = "run.gin") -> str:
    """Write a gin file in the current folder; returns its name."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
    return name


def load(text: str = "", bindings=(), **flags) -> Fit:
    """The command of a gin file of HEAD and `text`, with the flags."""
    return config.load(Fit, [write(HEAD + text)], bindings, flags)[0]
