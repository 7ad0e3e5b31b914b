"""Which runs the points of a sweep are: those that are there already, and banks of what is left."""

from collections.abc import Iterable, Iterator, Sequence

from ptune_cli import config
from ptune_cli.commands.train import Train
from ptune_cli.errors import UserError
from ptune_cli.sweeps.banks import Bank, company, parts, text
from ptune_cli.sweeps.points import Point, Run


def join(points: Sequence[Point]) -> dict[str, Point | Bank]:
    """{a point's name: the run that has it, or is to make it}.

    What has finished, alone or in a bank, is not run again; a run that has begun goes on as it is; what is left is joined.
    """
    there: list[Point | Bank] = [*points, *_kept(points)]
    found: dict[str, Point | Bank] = {}
    for run in filter(Run.finished, there):
        found = _of(run) | found
    for run in filter(Run.begun, there):
        if not _of(run).keys() & found.keys():
            found |= _of(run)
    for group in groups(point for point in points if point.name not in found):
        found |= _of(Bank.of(group) if len(group) > 1 else group[0])
    return {point.name: found[point.name] for point in points}


def runs(joined: dict[str, Point | Bank]) -> list[Point | Bank]:
    """Each run once."""
    return list({run.name: run for run in joined.values()}.values())


def _of(run: Point | Bank) -> dict[str, Point | Bank]:
    return {point.name: run for point in run.points}


def groups(points: Iterable[Point]) -> Iterator[list[Point]]:
    """The points of each run: of those that may train together, the tasks that have the same lengths."""
    alike: dict[str, dict[str, dict[int, Point]]] = {}  # by task and length
    for point in points:
        key = company(point)
        own = {} if key is None else alike.setdefault(key, {}).setdefault(point.train.tasks[0], {})
        if key is None or point.train.prompt.length in own:
            yield [point]
        else:
            own[point.train.prompt.length] = point
    for tasks in alike.values():
        for lengths in dict.fromkeys(map(tuple, tasks.values())):
            yield [point for own in tasks.values() if tuple(own) == lengths for point in own.values()]


def _kept(points: Sequence[Point]) -> Iterator[Bank]:
    """The banks in the sweep's folder: those that finished with some of the points, and those that began with no others."""
    by_text = {text(point.train): point for point in points}
    folders = {point.folder.parent for point in points}  # one, unless there are no points
    for file in sorted(file for folder in folders for file in folder.glob("*/config.gin")):
        try:
            train, resolved = config.load(Train, [str(file)])
        except UserError:  # another command's, or another version's
            continue
        texts = parts(train)
        own = tuple(by_text[part] for part in texts if part in by_text)
        if own and len(own) == len(texts) and (bank := Bank.of(own)).folder == file.parent and bank.begun():
            yield bank
        elif own and (file.parent / "results.json").is_file():
            yield Bank(file.parent.name, ("--gin", str(file)), file.parent, train, resolved, own)
