"""Points of a sweep that train together: prompts that differ in their length or their task alone are one bank, one run.

What is gained is one process, one loaded model that is scored once without a prompt, and one compilation for each length that
rows are padded to. Short prompts are not made slow by it: rows are sorted by length before they are cut into microbatches, so a
short prompt is padded about as it is alone, and a microbatch takes no more memory than the longest prompt's alone.

Tasks join only where `target_length` is set. Without it each task has its own longest target as a limit, which is what answers
are decoded to and targets padded to; one limit for all would be another result, and more work.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ptune_cli import gin_text
from ptune_cli.commands.train import Train
from ptune_cli.sweeps.points import TASKS, Point, Run, called, resolve

LENGTH = "prompt.length"
LONGEST_NAME = 80  # characters; a file system has room for 255 bytes


@dataclass(frozen=True)
class Bank(Run):
    """A run of several points: all tasks x lengths of theirs."""

    points: tuple[Point, ...]  # of the grid; a bank that finished earlier may have more

    @classmethod
    def of(cls, points: Sequence[Point]) -> "Bank":
        """The run of points that can train together, in the order of tasks, then lengths."""
        folder = points[0].folder.parent / _name(points)
        arguments = (*_arguments(points), "--output", str(folder))
        return cls(folder.name, arguments, folder, *resolve(arguments), tuple(points))

    def members(self, point: Point) -> tuple[str, ...]:
        """What the point's members are called here."""
        [task], length = point.train.tasks, point.train.prompt.length
        return tuple(member.name for member in self.train.bank() if (member.task, member.prompt.length) == (task, length))


def company(point: Point) -> str | None:
    """Equal for points that can train together; None for one that trains alone."""
    train = point.train
    if train.method != "prompt" or len(train.tasks) > 1 or train.prompt_lengths:
        return None
    if isinstance(train.optimizer.learning_rate, tuple):  # one for each member of the run
        return None
    tasks = train.tasks if train.target_length is None else ("any",)
    return text(_changed(train, tasks=tasks, prompt=replace(train.prompt, length=1)))


def parts(train: Train) -> list[str]:
    """The texts of the points that a bank is instead of, in the order of its members; none for a run of one point."""
    lengths = train.prompt_lengths or (train.prompt.length,)
    if train.method != "prompt" or len(train.tasks) * len(lengths) == 1:
        return []
    if len(train.tasks) > 1 and train.target_length is None:
        return []
    one = _changed(train, prompt_lengths=())
    return [
        text(replace(one, tasks=(task,), prompt=replace(train.prompt, length=length)))
        for task in train.tasks
        for length in lengths
    ]


def text(train: Train) -> str:
    """The resolved gin of a run, wherever it lies."""
    return gin_text.write(_changed(train, output=""))


def _changed(train: Train, **changes: object) -> Train:
    """A template is part of the task's name already; given again, it is refused by tasks that are no files."""
    return replace(train, **{"template": None, "target_template": None, **changes})


def _name(points: Sequence[Point]) -> str:
    """The values of each axis with + between them; of very many, the first and the last."""
    names = []
    for labels in zip(*(point.labels for point in points), strict=True):
        values = list(dict.fromkeys(called(*label) for label in labels))
        whole = "+".join(values)
        names.append(whole if len(whole) <= LONGEST_NAME else f"{values[0]}+...+{values[-1]}")
    return "-".join(names)


def _arguments(points: Sequence[Point]) -> list[str]:
    """The first point's, each a flag with its value, without its folder and for the tasks and lengths of all of them."""
    first = points[0]
    tasks = dict.fromkeys(point.train.tasks[0] for point in points)
    lengths = dict.fromkeys(str(point.train.prompt.length) for point in points)
    changed = {TASKS: ",".join(tasks)} if len(tasks) > 1 else {}
    changed |= {"prompt_lengths": ",".join(lengths)} if len(lengths) > 1 else {}
    left_out = {"output", *changed, *([LENGTH] if len(lengths) > 1 else [])}
    given = zip(first.arguments[::2], first.arguments[1::2], strict=True)
    pairs = [pair for pair in given if pair[0].removeprefix("--") not in left_out]
    return [word for pair in [*pairs, *((f"--{name}", value) for name, value in changed.items())] for word in pair]
