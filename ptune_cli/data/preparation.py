"""Finds prepared splits and has what is missing made: from the user's own files here, from seqio tasks by a process of its
own. TensorFlow never enters this one."""

import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ptune_cli.data import files
from ptune_cli.data.fingerprint import locate, resolve
from ptune_cli.data.prepared import Prepared, default_cache, find
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.file_task import FileTask

Pairs = Sequence[tuple[str, str]]  # of task and split
Progress = Callable[[str, str, int, int | None], None]
"""Called with task, split, examples done, and how many there are if that is known."""


def ensure(
    tasks_and_splits: Iterable[tuple[str, str]],
    vocabulary: Vocabulary,
    cache_dir: str | Path | None = None,
    progress: Progress | None = None,
    data_dir: str | None = None,
    offline: bool = False,
) -> list[Prepared]:
    """The prepared splits, in the order asked for; those not in the cache are prepared first.

    `data_dir` is where TFDS keeps and downloads datasets ($TFDS_DATA_DIR, or ~/tensorflow_datasets). `offline` downloads
    nothing: what TFDS has not prepared there yet is an error at once. Several processes may ask for the same split at
    once: one makes it, the others wait. Without `progress`, progress is shown on standard error, and so is what was
    inferred about the user's own files.

    Raises:
        UserError: no such task or split, the task failed, the cache is not writable or corrupt, or `offline` forbids it.
    """
    cache = Path(cache_dir) if cache_dir is not None else default_cache()
    pairs = [locate(*pair) for pair in tasks_and_splits]
    folders = {pair: find(*pair, vocabulary, cache) for pair in pairs}
    missing = [pair for pair, folder in folders.items() if not folder.exists()]
    sets = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    if offline:
        _check_downloaded(missing, sets)
    if missing:
        with contextlib.nullcontext(progress) if progress else _shown() as shown:
            _prepare_missing(list(dict.fromkeys(missing)), vocabulary, cache, sets, shown)
    found = {pair: Prepared.open(folder) for pair, folder in folders.items()}
    if progress is None:
        for note in files.notes(found):
            print(note, file=sys.stderr)
    return [found[pair] for pair in pairs]


def _check_downloaded(pairs: Pairs, sets: Path) -> None:
    """UserError if preparing a split would need a download; TFDS is not asked, as importing it takes seconds."""
    for task, split in pairs:
        source = resolve(task, split).source
        if source and not (sets / source.replace(":", "/")).is_dir():
            raise UserError(
                f"{task} {split} is not prepared, and {source} is not in {sets}",
                f"run `ptune prepare {task}` with a network, or copy that folder here",
            )


def _prepare_missing(pairs: Pairs, vocabulary: Vocabulary, cache: Path, sets: Path, progress: Progress) -> None:
    for task, split in pairs:
        if own := FileTask.parse(task):
            files.prepare(own, split, vocabulary, cache, functools.partial(progress, own.place, split))
    if others := [(task, split) for task, split in pairs if not FileTask.parse(task)]:
        _prepare(others, vocabulary, cache, sets, progress)


def _prepare(pairs: Pairs, vocabulary: Vocabulary, cache: Path, sets: Path, progress: Progress) -> None:
    command = [sys.executable, "-P", "-m", "ptune_cli.data.prepare", "--vocabulary", str(vocabulary.path)]
    command += ["--cache", str(cache), "--data_dir", str(sets)]
    for pair in pairs:
        command += ["--split", *pair]
    log = cache / "prepared" / f"failed-{os.getpid()}.log"
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    with _log_file(log) as errors, subprocess.Popen(command, stderr=errors, env=_environment(), **streams) as process:
        try:
            failure = _follow(process.stdout or (), progress)
            code = process.wait()
        except BaseException:  # interrupted, for example: leave nothing running
            process.kill()
            raise
    if failure is None and code:
        failure = {"error": f"preparing {_names(pairs)} ended with exit code {code}{_last_line(log)}", "see_log": True}
    if failure is None or not failure["see_log"]:
        log.unlink(missing_ok=True)
    if failure is not None:
        raise UserError(failure["error"], f"the whole output is in {log}" if failure["see_log"] else "")


def _follow(events: Iterable[str], progress: Progress) -> dict | None:
    """Passes progress on until the process closes its output. Returns the failure, if it told one."""
    failure = None
    for line in events:
        event = json.loads(line)
        if "error" in event:
            failure = event
        else:
            progress(event["task"], event["split"], event["done"], event["total"])
    return failure


def _environment() -> dict[str, str]:
    """The same import path as here, and the current folder behind it, where the user's own tasks are (as `sources` looks)."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*(path or os.getcwd() for path in sys.path), os.getcwd()])}


@contextlib.contextmanager
def _log_file(log: Path) -> Iterator[int]:
    """What TensorFlow prints goes to a file, which is kept only if something fails."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        opened = open(log, "wb")
    except OSError as error:
        hint = "set PTUNE_CACHE to a folder that can be written"
        raise UserError(f"cannot write in the cache folder {log.parent}: {error.strerror}", hint) from error
    with opened:
        yield opened.fileno()


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").split("\n")
    last = next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
    return f": {last}" if last else ""


def _names(pairs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{task} {split}" for task, split in pairs)


@contextlib.contextmanager
def _shown() -> Iterator[Progress]:
    """A bar for each split on standard error; when that is a file, one line for each at the end."""
    from rich.console import Console  # only a first run shows anything
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("preparing {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars, shown = Progress(*columns, console=Console(stderr=True)), {}

    def show(task: str, split: str, done: int, total: int | None) -> None:
        if not shown:
            bars.start()  # not before: it would end in an empty line above an error
        if (task, split) not in shown:
            shown[task, split] = bars.add_task(f"{task} {split}", total=None)
        bars.update(shown[task, split], completed=done, total=total)

    try:
        yield show
    finally:
        if shown:
            bars.stop()
