"""The run folder: config.gin, run.json, metrics.jsonl, tensorboard/, checkpoints/, prompts/<member>/, predictions/.

A run is its folder: one process at a time holds it, one config owns it, and running the same command again resumes it.
Nothing here imports JAX; checkpoints are imported by the first save or restore.
"""

import itertools
import json
import math
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import filelock

import ptune_cli
from ptune_cli.errors import UserError
from ptune_cli.formats.atomic import write_atomically

if TYPE_CHECKING:
    from ptune_cli.checkpoints import Checkpoints

CLAIM = ("config.gin", "run.json")  # what makes a folder a run's, before there is anything in it


class RunFolder:
    """A locked run folder. Made by `RunFolder.open`; a context manager that closes itself."""

    def __init__(self, path: Path, lock: filelock.BaseFileLock, keep_last: int):
        self.path = path
        self._lock = lock
        self._keep_last = keep_last
        self._purge_step: int | None = None
        self._rows: Any = None
        self._tensorboard: Any = None
        self._checkpoints: Checkpoints | None = None

    @classmethod
    def open(cls, path: Path | str, config_text: str, keep_last: int = 2) -> Self:
        """Make or reopen the folder for `config_text` (the resolved gin), and lock it until `close` or the process's end.

        UserError if another process holds it, if it belongs to another config, or if it cannot be written.
        """
        path = Path(path)
        with _writing(path):
            path.mkdir(parents=True, exist_ok=True)
            lock = _locked(path)
        try:
            _claim(path, config_text)
            run = cls(path, lock, keep_last)
            run.truncate_after(math.inf)
            return run
        except BaseException:
            lock.release()
            raise

    def log(self, metrics: dict[str, Any]) -> None:
        """Append a row, which has a "step", to metrics.jsonl and its numbers to TensorBoard.

        NaN and infinity are null in metrics.jsonl, since JSON has no word for them, and gaps in TensorBoard.
        """
        row = _json(metrics)
        with _writing(self.path / "metrics.jsonl"):
            self._rows = self._rows or (self.path / "metrics.jsonl").open("a", encoding="utf-8")
            self._rows.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            self._rows.flush()
        with _writing(self.path / "tensorboard"):
            for name, value in row.items():
                if name != "step" and isinstance(value, int | float):
                    self._writer().add_scalar(name, value, row["step"])

    def truncate_after(self, step: float) -> None:
        """Drop the rows past `step` (a resumed run writes them again), and the row that a killed process left unfinished.

        A run that restored nothing calls this with -1.
        """
        self._close_logs()
        self._purge_step = None if math.isinf(step) else int(step) + 1
        path = self.path / "metrics.jsonl"
        with _writing(path):
            lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        kept = [line for line in lines if line.endswith(b"\n") and _row(path, line).get("step", -1) <= step]
        if kept != lines:
            write_atomically(path, b"".join(kept))

    def save(self, step: int, state: Any, extras: dict, metric: float | None = None) -> None:
        """Save a checkpoint: a pytree of arrays, ints and floats, a JSON dict, and the metric that ranks it (higher is better).

        The last `keep_last` steps and the best are kept; a step that exists already stays as it is. UserError on a full disk.
        """
        with _writing(self.path / "checkpoints"):
            self.checkpoints.save(step, state, extras, metric)

    def restore(self, template: Any, step: int | None = None) -> tuple[int, Any, dict] | None:
        """(step, state, extras) of the newest checkpoint, or of `step`, bit for bit as saved; None if there is none.

        `template` is a state of the same structure. UserError, naming the folder to delete, if the checkpoint is damaged.
        """
        with _writing(self.path / "checkpoints"):
            # Nothing was saved yet: no need to import Orbax, which takes a while.
            return self.checkpoints.restore(template, step) if (self.path / "checkpoints").exists() else None

    @property
    def checkpoints(self) -> "Checkpoints":
        """The steps that were saved: `.steps`, `.best_step`."""
        if self._checkpoints is None:
            from ptune_cli.checkpoints import Checkpoints  # Orbax imports JAX

            self._checkpoints = Checkpoints(self.path / "checkpoints", self._keep_last)
        return self._checkpoints

    def write_json(self, name: str, value: Any) -> None:
        """Write `value` to the file `name` ("predictions/boolq.json") of the folder, whole or not at all."""
        self.write_bytes(name, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write `content` to the file `name` of the folder, whole or not at all."""
        write_atomically(self.path / name, content)

    def close(self) -> None:
        """Close the logs and checkpoints and give the lock back."""
        try:
            self._close_logs()
            if self._checkpoints is not None:
                self._checkpoints.close()
                self._checkpoints = None
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            self._disclaim()
        self.close()

    def _disclaim(self) -> None:
        """After an error, take back a claim that nothing came of: the command put right would be "another config"."""
        if {file.name for file in self.path.iterdir()} <= {*CLAIM, ".lock"}:
            for name in (*CLAIM, ".lock"):
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()

    def _writer(self) -> Any:
        if self._tensorboard is None:
            from tensorboardX import SummaryWriter  # 0.2 s that reading a run need not pay

            folder = str(self.path / "tensorboard")
            self._tensorboard = SummaryWriter(folder, purge_step=self._purge_step, flush_secs=10)
        return self._tensorboard

    def _close_logs(self) -> None:
        if self._rows is not None:
            self._rows.close()
        if self._tensorboard is not None:
            self._tensorboard.close()
        self._rows = self._tensorboard = None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the disk says, directly or through TensorStore, into one line for the user."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else _system_error(str(error))
        if reason is None:
            raise
        raise UserError(f"cannot use {path}: {reason}", "free some space or choose another run folder") from error


def _system_error(text: str) -> str | None:
    # TensorStore: "...: Failed to write 83 bytes to file 17: No space left on device [os_error_code='28']"
    match = re.search(r": ([^:]+) \[os_error_code=", text)
    return match and match[1]


def _locked(path: Path) -> filelock.BaseFileLock:
    # The system drops the lock with the process, however it ends; any thread may close the folder.
    lock = filelock.FileLock(path / ".lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(
            f"the run folder {path} is in use by another process", "wait for it to end, or choose another folder"
        ) from None
    return lock


def _claim(path: Path, config_text: str) -> None:
    """Write config.gin and run.json, or refuse the folder of another config."""
    config = path / "config.gin"
    with _writing(config):
        owner = config.read_text(encoding="utf-8") if config.exists() else config_text
    for number, (old, new) in enumerate(itertools.zip_longest(owner.splitlines(), config_text.splitlines()), 1):
        if old != new:
            raise UserError(
                f"the run folder {path} belongs to another config: line {number} of its config.gin is "
                f"{_quoted(old)}, of this run's {_quoted(new)}",
                "choose another folder, or delete this one to start over",
            )
    write_atomically(config, config_text.encode())
    starts = path / "run.json"
    with _writing(starts):
        earlier = json.loads(starts.read_text(encoding="utf-8"))["starts"] if starts.exists() else []
    write_atomically(starts, (json.dumps({"starts": [*earlier, _start()]}, indent=2) + "\n").encode())


def _quoted(line: str | None) -> str:
    return "missing" if line is None else f"'{line}'"


def _start() -> dict[str, str | list[str]]:
    """What a reader of the results wants to know of one start of the run: there is one more for each resume."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "ptune": ptune_cli.__version__,
        "jax": _version("jax"),
        "jaxlib": _version("jaxlib"),
        "optax": _version("optax"),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _row(path: Path, line: bytes) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        raise UserError(f"{path} has a line that is not JSON: {line[:80]!r}", "mend or delete that line") from None


def _json(value: Any) -> Any:
    """What JSON can hold: NumPy's and JAX's scalars as Python's, NaN and infinity as null."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
