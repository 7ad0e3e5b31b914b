"""Several processes that compute together: how they find each other.

The first one owns the run folder and the terminal; the others work beside it in temporary folders and print nothing but errors.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import jax

from ptune_cli import failures, watchdog
from ptune_cli.errors import Preempted, UserError

HEARTBEAT = 30  # seconds until a process that is gone without a word ends the others


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
        _keep_quiet()
        watchdog.watch(self.watchdog, failures.told)
        try:
            yield
        except BaseException as error:
            said = failures.of_peer(error) if isinstance(error, jax.errors.JaxRuntimeError) else None
            if said is None and not isinstance(error, Preempted):
                failures.tell(error)
            failures.leave(said or error)
            if said:
                raise said from None
            raise

    def _join(self) -> bool:
        if self.coordinator is not None:
            jax.distributed.initialize(self.coordinator, self.count, self.index, heartbeat_timeout_seconds=HEARTBEAT)
            return True
        if started_together(os.environ):
            jax.distributed.initialize(local_device_ids=own_gpus(os.environ), heartbeat_timeout_seconds=HEARTBEAT)
            return True
        if find_spec("libtpu"):  # perhaps a TPU VM: JAX asks Google's metadata server
            try:
                jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT)
            except ValueError:  # what it says where there is no cluster
                return False
            return True
        return False


def _keep_quiet() -> None:
    """Of several processes the first one alone prints, and gloo's greetings, which go to standard output, are no result."""
    if jax.process_index() > 0:
        sys.stdout = sys.stderr = open(os.devnull, "w")
    else:
        sys.stdout = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)


def started_together(environment: Mapping[str, str]) -> bool:
    """Whether a launcher that JAX knows has started several of us."""
    counts = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "MEGASCALE_NUM_SLICES")  # of srun, of mpirun, of TPU slices
    several = any(int(environment.get(name) or 1) > 1 for name in counts)
    return several or "," in environment.get("TPU_WORKER_HOSTNAMES", "") or "," in environment.get("TPU_PROCESS_ADDRESSES", "")


def own_gpus(environment: Mapping[str, str]) -> list[int] | None:
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
