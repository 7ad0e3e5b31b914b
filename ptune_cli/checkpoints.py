"""Checkpoints of a run: one Orbax folder per step, made whole by a rename, checked by hash before it is read.

Orbax writes a step into a temporary folder and renames it, so a process killed in the middle leaves no half checkpoint.
It does not notice a flipped bit in an array's data and reports other damage as pages of traceback; `sha256.json`, written
into the step's folder after the rename, is compared first. A kill between the two leaves a good step without that file.
"""

import errno
import hashlib
import json
import logging
import math
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from ptune_cli.errors import UserError
from ptune_cli.formats.atomic import write_atomically

HASHES = "sha256.json"
# Of several processes the first one alone saves and restores; none of Orbax's barriers waits for the others.
ALONE = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
MARGIN = 2**18  # bytes; Orbax's own files are some thirty, of one disk block each


class Checkpoints:
    """The folder `checkpoints/`: the last `keep_last` steps and the best one (the earliest of equals) are kept."""

    def __init__(self, folder: Path, keep_last: int = 2):
        # Orbax logs a traceback for what it also raises, and a warning for a step saved without a metric.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self.folder = folder.absolute()  # TensorStore takes no relative path
        latest = LatestN(keep_last)
        best = BestN(get_metric_fn=_rank, n=1, keep_checkpoints_without_metrics=False)
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
            create=False,  # it cannot where several processes are and this one saves alone
            enable_async_checkpointing=False,  # a prompt is kilobytes; a thread would only hide errors
            multiprocessing_options=ALONE if jax.process_count() > 1 else ocp.options.MultiprocessingOptions(),
            cleanup_tmp_directories=True,
            preservation_policy=AnyPreservationPolicy([latest, best]),
            best_fn=_rank,
        )
        try:
            self._manager = ocp.CheckpointManager(self.folder, options=options, item_names=("state", "extras"))
        except ValueError:  # it reads every step's metric, and one is damaged: say which
            for step in self.steps:
                self._check(step)
            raise

    @property
    def steps(self) -> list[int]:
        """The steps that are kept, oldest first."""
        return sorted(int(step.name) for step in self.folder.iterdir() if step.name.isdecimal())

    @property
    def best_step(self) -> int | None:
        """The step of the highest metric, None if no step was saved with one."""
        return self._manager.best_step()

    def save(self, step: int, state: Any, extras: dict, metric: float | None = None) -> None:
        """Save a pytree of arrays, ints and floats, and a JSON dict. Saving a step again is no work: it is the same state.

        Raises what the disk raises: OSError, or TensorStore's ValueError with the system's error number in its text.
        """
        if step in self._manager.all_steps():
            return
        self._reserve(state)
        known = metric is not None and not math.isnan(metric)
        self._manager.save(
            step,
            args=ocp.args.Composite(state=ocp.args.StandardSave(state), extras=ocp.args.JsonSave(extras)),
            metrics={"value": metric, "step": step} if known else None,
            force=True,  # Orbax would else skip, in silence, a step lower than one that it has seen
        )
        folder = self.folder / str(step)
        write_atomically(folder / HASHES, json.dumps(_hashes(folder), indent=1).encode())

    def restore(self, template: Any, step: int | None = None) -> tuple[int, Any, dict] | None:
        """(step, state, extras) of the newest step, or of `step`; None if nothing was saved yet.

        `template` has the state's structure, shapes and dtypes; the state comes back bit for bit, its arrays NumPy's, wherever
        they were and will be. UserError if the checkpoint is damaged or holds another structure.
        """
        step = self._manager.latest_step() if step is None else step
        if step is None:
            return None
        self._check(step)
        template = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype) if hasattr(leaf, "shape") else leaf, template)
        args = ocp.args.Composite(state=ocp.args.StandardRestore(template), extras=ocp.args.JsonRestore())
        try:
            restored = self._manager.restore(step, args=args)
            jax.tree.map(_check_shape, restored["state"], template)
        except Exception as error:  # Orbax has no error class of its own for what it cannot read
            raise self._unreadable(step, (str(error).splitlines() or [repr(error)])[0][:200]) from error
        return step, restored["state"], restored["extras"]

    def close(self) -> None:
        """Let go of Orbax's threads."""
        self._manager.close()

    def _reserve(self, state: Any) -> None:
        # Orbax writes in threads, and a disk that refuses one of them leaves tracebacks of the others on the terminal. So ask
        # the disk first: for free space, and, since quotas and limits count too, by writing as many bytes (64 MiB at most).
        needed = sum(getattr(leaf, "nbytes", 8) for leaf in jax.tree.leaves(state)) + MARGIN
        if shutil.disk_usage(self.folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        probe = self.folder / ".space"
        try:
            probe.write_bytes(bytes(min(needed, 2**26)))
        finally:
            probe.unlink(missing_ok=True)

    def _check(self, step: int) -> None:
        folder = self.folder / str(step)
        if not (folder / HASHES).exists():
            return
        try:
            expected = json.loads((folder / HASHES).read_text())
        except ValueError as error:
            raise self._unreadable(step, f"{HASHES} is damaged") from error
        found = _hashes(folder)
        for name, digest in expected.items():
            if found.get(name) != digest:
                raise self._unreadable(step, f"{name} is {'damaged' if name in found else 'missing'}")

    def _unreadable(self, step: int, reason: str) -> UserError:
        others = [other for other in self.steps if other != step]
        then = f"fall back to step {max(others)}" if others else "start again from step 0"
        return UserError(f"the checkpoint {self.folder / str(step)} cannot be read: {reason}", f"delete that folder to {then}")


def _check_shape(found: Any, expected: Any) -> None:
    """Orbax looks at names alone where the template's arrays are NumPy's."""
    if np.shape(found) != np.shape(expected):
        raise ValueError(f"it has an array {np.shape(found)} where this run has {np.shape(expected)}")


def _rank(metrics: Any) -> Any:
    # A pair, since Orbax only sorts by it and keeps the last of equals, where early stopping wants the first.
    return metrics["value"], -metrics["step"]


def _hashes(folder: Path) -> dict[str, str]:
    hashes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != HASHES:
            with path.open("rb") as file:
                hashes[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes
