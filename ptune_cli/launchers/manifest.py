"""A job as Kubernetes reads it: a ConfigMap with the user's gin files, and a JobSet for each share.

Each slice is a Job whose pods, one for each machine, start and end together; JobSet starts all slices again when one fails.
"""

from typing import TYPE_CHECKING, Any

from ptune_cli.launchers import pod
from ptune_cli.launchers.accelerators import Accelerator, lookup
from ptune_cli.launchers.job import Job
from ptune_cli.launchers.shipping import gin_files

if TYPE_CHECKING:
    from ptune_cli.launchers.jobset import JobSet

PREEMPTED, MISTAKE = 75, 2  # exit codes of ptune


def documents(settings: "JobSet", job: Job) -> list[dict[str, Any]]:
    """The manifests, in the order in which they are created."""
    names = [job.name] if job.shares == 1 else [f"{job.name}-{i}" for i in range(job.shares)]
    sets = [_job_set(settings, job, name, i) for i, name in enumerate(names)]
    files = gin_files(job.command)
    if not files:
        return sets
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": job.name, "labels": pod.labels(job)}}
    return [{**config, "data": {pod.key(i): text for i, text in enumerate(files.values())}}, *sets]


def _job_set(settings: "JobSet", job: Job, name: str, share: int) -> dict[str, Any]:
    accelerator = lookup(settings.accelerator)
    metadata: dict[str, Any] = {"name": name, "labels": pod.labels(job)}
    if settings.queue:
        metadata["labels"] = {**pod.labels(job), "kueue.x-k8s.io/queue-name": settings.queue}
    if accelerator.is_tpu and accelerator.hosts > 1:  # a node pool is one slice: no two jobs share it, and none straddles two
        metadata["annotations"] = {"alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"}
    spec = {
        "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
        "failurePolicy": {"maxRestarts": settings.max_restarts, "rules": _failure_rules()},
        "replicatedJobs": [_slices(settings, job, name, share, accelerator)],
    }
    return {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": metadata, "spec": spec}


def _failure_rules() -> list[dict[str, Any]]:
    """By the message of the pod failure policy below. What matches none is restarted `maxRestarts` times.

    Exit code 1 is among those: it is also that of a process whose peer went away."""
    reasons = ["PodFailurePolicy"]
    preempted = [f"failed with exit code {PREEMPTED} ", "has condition DisruptionTarget "]
    mistake = [f"failed with exit code {MISTAKE} "]
    return [
        _rule("preempted", "RestartJobSetAndIgnoreMaxRestarts", reasons, preempted),
        _rule("mistake", "FailJobSet", reasons, mistake),
    ]


def _rule(name: str, action: str, reasons: list[str], patterns: list[str]) -> dict[str, Any]:
    return {"name": name, "action": action, "onJobFailureReasons": list(reasons), "onJobFailureMessagePatterns": patterns}


def _slices(settings: "JobSet", job: Job, name: str, share: int, accelerator: Accelerator) -> dict[str, Any]:
    replicas, hosts = (settings.slices, accelerator.hosts) if accelerator.is_tpu else (1, settings.slices)
    by_code = {"action": "FailJob", "onExitCodes": {"containerName": "ptune", "operator": "In", "values": [MISTAKE, PREEMPTED]}}
    by_condition = {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    spec = {
        "parallelism": hosts,
        "completions": hosts,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [by_code, by_condition]},
        "template": {"metadata": pod.metadata(settings, job), "spec": pod.spec(settings, job, name, share, accelerator)},
    }
    return {"name": "slice", "replicas": replicas, "template": {"spec": spec}}
