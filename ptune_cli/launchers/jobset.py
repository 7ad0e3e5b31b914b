"""Kubernetes: one JobSet (jobset.x-k8s.io), which restarts its machines together and which Kueue queues.

ptune writes the manifest and calls kubectl; the cluster waits, places and restarts. It needs JobSet 0.10 or newer, and, for
`queue`, Kueue. Slices of a TPU find each other by what GKE tells them; machines with GPUs are told their coordinator.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from ptune_cli.errors import UserError
from ptune_cli.launchers import cluster, manifest
from ptune_cli.launchers.accelerators import lookup
from ptune_cli.launchers.job import Job, Plan
from ptune_cli.launchers.programs import output


@dataclass(frozen=True, kw_only=True)
class JobSet:
    """Machines of a Kubernetes cluster, by JobSet. Each share of an array is a job set of its own, so none waits for another.

    A preempted run (exit code 75, or a lost machine) starts again without end, a failed one `max_restarts` times, and a mistake
    in the command (exit code 2) not at all. Interrupting (^C) leaves it in the cluster, and the same command follows it again.
    """

    accelerator: str  # of each machine: v5litepod-16, v6e-8, v5p-32, tpu7x-16, h100-80gb-8, ...
    slices: int = 1  # that run it together: slices of a TPU, or machines with GPUs
    image: str  # a container image with ptune in it, and JAX for the accelerator
    volume: str  # where the command runs, and its results are: the name of a PersistentVolumeClaim, or gs://BUCKET
    queue: str | None = None  # Kueue's local queue; none: the cluster's scheduler alone
    namespace: str = "default"  # of the cluster
    service_account: str | None = None  # of Kubernetes; gs:// needs one that may use the bucket
    spot: bool = False  # spot machines, which are cheaper and may be taken away
    max_restarts: int = 10  # after failures; preemptions do not count
    grace: int = 120  # seconds from being told to stop to being killed: time to save
    priority: str | None = None  # a priority class of the cluster
    environment: tuple[str, ...] = ()  # NAME=VALUE, for every process
    poll: float = 10.0  # seconds between two looks at the cluster

    def __post_init__(self):
        unset = [pair for pair in self.environment if "=" not in pair]
        if unset:
            raise UserError(f"'{unset[0]}' in environment has no value", "write NAME=VALUE")
        if self.slices < 1:
            raise UserError(f"slices is {self.slices}, expected at least 1")
        accelerator = lookup(self.accelerator)
        if accelerator.is_tpu and accelerator.hosts == 1 and self.slices > 1:
            hint = "a single machine of a TPU has no network to others of its kind on GKE; take a larger slice"
            raise UserError(f"{self.slices} slices of {self.accelerator} cannot run together", hint)

    @property
    def processes(self) -> int:
        """That run the command together: one for each machine."""
        return lookup(self.accelerator).hosts * self.slices

    def plan(self, job: Job) -> Plan:
        """The manifest, and what is done with it."""
        file = _file(job)
        text = yaml.safe_dump_all(manifest.documents(self, job), sort_keys=False, width=1000)
        return Plan({file: text}, (self._kubectl("apply", "--filename", str(file)), self._states(job), self._delete(job)))

    def run(self, job: Job) -> int:
        """Start it, or find it where it runs, and follow it to its end: 0, or 2 for a mistake in the command, or 1."""
        for path, text in self.plan(job).files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if cluster.finished(cluster.states(output(self._states(job)))):  # an earlier one, which failed
            output(self._delete(job))
        print(output(self._kubectl("apply", "--filename", str(_file(job)))).rstrip(), flush=True)
        try:
            return self._follow(job)
        except KeyboardInterrupt:
            print(f"ptune: {job.name} goes on. To stop it: {' '.join(self._delete(job))}", file=sys.stderr)
            raise

    def _follow(self, job: Job) -> int:
        log, said = cluster.Log(self._kubectl("logs"), job.name), ""
        while not cluster.finished(states := cluster.states(output(self._states(job)))):
            if (line := cluster.summary(states)) != said:
                print(said := line, flush=True)
            if job.shares == 1:
                log.follow()
            time.sleep(self.poll)
        if job.shares == 1:
            log.follow()
        print(cluster.summary(states), flush=True)
        if all(state.done for state in states):
            output(self._delete(job))
            return 0
        print(f"ptune: to remove it: {' '.join(self._delete(job))}", file=sys.stderr)
        return cluster.exit_code(output(self._kubectl("get", "pods", *_selector(job), "--output", "json")))

    def _states(self, job: Job) -> tuple[str, ...]:
        return self._kubectl("get", "jobsets", *_selector(job), "--output", "json")

    def _delete(self, job: Job) -> tuple[str, ...]:
        return self._kubectl("delete", "--filename", str(_file(job)), "--ignore-not-found")

    def _kubectl(self, *arguments: str) -> tuple[str, ...]:
        return ("kubectl", "--namespace", self.namespace, *arguments)


def _file(job: Job) -> Path:
    return job.folder / f"{job.name}.yaml"


def _selector(job: Job) -> tuple[str, str]:
    return ("--selector", f"app.kubernetes.io/instance={job.name}")
