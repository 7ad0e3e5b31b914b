"""Several processes that compute together: how they find each other, what they must have alike, and how they end.

The first process owns the run folder; the others work beside it in temporary folders and print nothing but errors, so all of
them run the same lines. Where one fails, none waits for it: it leaves without JAX's farewell, which would hang the others for
minutes, and their next collective fails at once.
"""

import atexit
import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from ptune_cli import watchdog
from ptune_cli.errors import RunFailure, UserError, exit_code

Value = TypeVar("Value")
HEARTBEAT = 30  # seconds until a process that is gone, without a collective to notice it by, ends the others
# What JAX says where another process is no more.
PEER = ("gloo", "connection", "peer", "heartbeat", "coordination", "unavailable", "socket")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """One run in several processes. Under srun, mpirun and on TPU VMs they find each other, and nothing need be given."""

    coordinator: str | None = None  # HOST:PORT of the first process, where nothing tells; with count and index
    count: int | None = None  # of processes
    index: int | None = None  # this one's, from 0 on
    watchdog: float = 1800.0  # seconds without a step or a batch of answers after which a process of several ends, with code 74

    def __post_init__(self):
        given = [self.coordinator, self.count, self.index]
        if any(value is None for value in given) and any(value is not None for value in given):
            raise UserError("coordinator, count and index of processes go together", "give all of them, or none")
        if self.index is not None and not 0 <= self.index < (self.count or 0):
            raise UserError(f"processes.index is {self.index}, expected 0 to {(self.count or 0) - 1}")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Joins the others, if there are any, for the rest of the process."""
        if not self._join() or jax.process_count() == 1:
            yield
            return
        if jax.process_index() > 0:
            sys.stdout = sys.stderr = open(os.devnull, "w")
        watchdog.watch(self.watchdog)
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            if not any(word in str(error).lower() for word in PEER):
                _leave(error)
                raise
            failure = RunFailure(f"another process of the run is gone, and says why itself: {str(error).splitlines()[0][:200]}")
            _leave(failure)
            raise failure from None
        except BaseException as error:
            _leave(error)
            raise

    def _join(self) -> bool:
        if self.coordinator is not None:
            jax.distributed.initialize(self.coordinator, self.count, self.index, heartbeat_timeout_seconds=HEARTBEAT)
            return True
        if _started_together():
            jax.distributed.initialize(local_device_ids=_own_gpus(os.environ), heartbeat_timeout_seconds=HEARTBEAT)
            return True
        if find_spec("libtpu"):  # perhaps a TPU VM: JAX asks Google's metadata server
            try:
                jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT)
            except ValueError:  # what it says where there is no cluster
                return False
            return True
        return False


def first() -> bool:
    """Whether this process owns the run folder: the first of several, or the only one."""
    return jax.process_index() == 0


@contextmanager
def own_folder(output: str) -> Iterator[str]:
    """The run folder for the first process; a temporary one for each of the others."""
    if first():
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="ptune-") as folder:
        yield str(Path(folder) / "run")


def from_first(value: Value) -> Value:
    """What the first process has, on all. It must pickle; the others' values are nothing to anyone."""
    if jax.process_count() == 1:
        return value
    data = np.frombuffer(pickle.dumps(value if first() else None), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(data))))
    whole = multihost_utils.broadcast_one_to_all(data if first() else np.zeros(size, np.uint8))
    return pickle.loads(np.asarray(whole).tobytes())


def agree(facts: Mapping[str, str]) -> None:
    """UserError, on all processes, unless they have the same of each fact; it names the first fact and process that differ."""
    digests = np.stack([np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8) for text in facts.values()])
    if jax.process_count() == 1:
        return
    everyones = np.asarray(multihost_utils.process_allgather(digests))
    different = np.argwhere((everyones != everyones[0]).any(axis=2))
    if len(different):
        process, fact = different[0]
        raise UserError(f"process {process} has another {list(facts)[fact]} than process 0", "give all of them the same")


def code() -> str:
    """What the package's source is, as a hash."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def _started_together() -> bool:
    """Whether a launcher that JAX knows has started several of us."""
    environment = os.environ
    counts = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "MEGASCALE_NUM_SLICES")  # of srun, of mpirun, of TPU slices
    several = any(int(environment.get(name) or 1) > 1 for name in counts)
    return several or "," in environment.get("TPU_WORKER_HOSTNAMES", "") or "," in environment.get("TPU_PROCESS_ADDRESSES", "")


def _own_gpus(environment: Mapping[str, str]) -> list[int] | None:
    """Which of the visible GPUs are this task's under SLURM, where JAX by itself takes one a task, by the task's number.

    A task that SLURM bound to its own GPUs, or that is alone on its node, has all that it sees; else tasks share them equally.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    tasks = environment.get("SLURM_STEP_TASKS_PER_NODE", "")
    if not visible or not tasks or "SLURM_STEP_NUM_TASKS" not in environment:
        return None
    count, on_node = len(visible.split(",")), int(tasks.split("(")[0].split(",")[0])
    if "SLURM_GPUS_PER_TASK" in environment or on_node == 1 or count % on_node:
        return list(range(count))
    each, own = count // on_node, int(environment["SLURM_LOCALID"])
    return list(range(own * each, (own + 1) * each))


def _leave(error: BaseException) -> None:
    """At the process's end, when all is said, leave at once. JAX's own farewell was registered before, and would come after."""
    sys.stderr = sys.__stderr__  # what is said now, every process says

    def go() -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(exit_code(error))

    atexit.register(go)
