"""A job as Kubernetes reads it: a ConfigMap with the user's gin files, and a JobSet for each share.

Each slice is a Job whose pods, one for each machine, start together and end together; JobSet starts all slices again when one fails.
"""

from typing import TYPE_CHECKING, Any

from ptune_cli.launchers.accelerators import Accelerator, lookup
from ptune_cli.launchers.job import Job
from ptune_cli.launchers.shipping import gin_files

if TYPE_CHECKING:
    from ptune_cli.launchers.jobset import JobSet

FOLDER, GIN_FOLDER = "/ptune", "/etc/ptune/gin"  # in the container
PORT = 8476  # of the coordinator; JAX's own choice, 8482, is closed between slices of v6e (JAX's issue 35905)
PREEMPTED, MISTAKE = 75, 2  # exit codes of ptune


def documents(settings: "JobSet", job: Job) -> list[dict[str, Any]]:
    """The manifests, in the order in which they are created."""
    names = [job.name] if job.shares == 1 else [f"{job.name}-{i}" for i in range(job.shares)]
    sets = [_job_set(settings, job, name, i) for i, name in enumerate(names)]
    files = gin_files(job.command)
    if not files:
        return sets
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": job.name, "labels": _labels(job)}}
    return [{**config, "data": {_key(i): text for i, text in enumerate(files.values())}}, *sets]


def _job_set(settings: "JobSet", job: Job, name: str, share: int) -> dict[str, Any]:
    accelerator = lookup(settings.accelerator)
    metadata: dict[str, Any] = {"name": name, "labels": _labels(job)}
    if settings.queue:
        metadata["labels"] = {**_labels(job), "kueue.x-k8s.io/queue-name": settings.queue}
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
        "template": {"metadata": _pod_metadata(settings, job), "spec": _pod(settings, job, name, share, accelerator)},
    }
    return {"name": "slice", "replicas": replicas, "template": {"spec": spec}}


def _pod_metadata(settings: "JobSet", job: Job) -> dict[str, Any]:
    fuse = {"annotations": {"gke-gcsfuse/volumes": "true"}} if settings.volume.startswith("gs://") else {}
    return {"labels": _labels(job), **fuse}


def _pod(settings: "JobSet", job: Job, name: str, share: int, accelerator: Accelerator) -> dict[str, Any]:
    chosen = {"serviceAccountName": settings.service_account, "priorityClassName": settings.priority}
    network = {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"} if accelerator.is_tpu else {}  # what slices talk over
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": settings.grace,
        **network,
        **{key: value for key, value in chosen.items() if value},
        "nodeSelector": _nodes(settings, accelerator),
        "tolerations": _tolerations(settings, accelerator),
        "volumes": _volumes(settings, job),
        "containers": [_container(settings, job, name, share, accelerator)],
    }


def _nodes(settings: "JobSet", accelerator: Accelerator) -> dict[str, str]:
    spot = {"cloud.google.com/gke-spot": "true"} if settings.spot else {}
    if not accelerator.is_tpu:
        return {"cloud.google.com/gke-accelerator": accelerator.label, **spot}
    topology = {"cloud.google.com/gke-tpu-topology": accelerator.topology}
    return {"cloud.google.com/gke-tpu-accelerator": accelerator.label, **topology, **spot}


def _tolerations(settings: "JobSet", accelerator: Accelerator) -> list[dict[str, str]]:
    keys = [_resource(accelerator), *(["cloud.google.com/gke-spot"] if settings.spot else [])]
    return [{"key": key, "operator": "Exists"} for key in keys]


def _container(settings: "JobSet", job: Job, name: str, share: int, accelerator: Accelerator) -> dict[str, Any]:
    pairs = [pair.split("=", 1) for pair in settings.environment]
    if accelerator.is_tpu and settings.slices > 1:
        pairs.append(["JAX_COORDINATOR_PORT", str(PORT)])
    mounts = [{"name": "results", "mountPath": FOLDER}]
    if gin_files(job.command):
        mounts.append({"name": "gin", "mountPath": GIN_FOLDER})
    return {
        "name": "ptune",
        "image": settings.image,
        "command": ["ptune", *_arguments(settings, job, name, share, accelerator)],
        "workingDir": FOLDER,
        "env": [{"name": name, "value": value} for name, value in pairs],
        "resources": {"limits": {_resource(accelerator): accelerator.chips_per_host}},
        "volumeMounts": mounts,
    }


def _arguments(settings: "JobSet", job: Job, name: str, share: int, accelerator: Accelerator) -> list[str]:
    arguments = [argument.replace("$(", "$$(") for argument in job.command]  # or Kubernetes would put a variable there
    if gin_files(job.command):
        arguments += ["--gin_search_paths", GIN_FOLDER]
    if job.shares > 1:
        arguments += ["--share", f"{share}/{job.shares}"]
    if accelerator.is_tpu or settings.slices == 1:
        return arguments
    coordinator = ["--processes.coordinator", f"{name}-slice-0-0.{name}:{PORT}", "--processes.count", str(settings.slices)]
    return [*arguments, *coordinator, "--processes.index", "$(JOB_COMPLETION_INDEX)"]


def _volumes(settings: "JobSet", job: Job) -> list[dict[str, Any]]:
    results: dict[str, Any] = {"persistentVolumeClaim": {"claimName": settings.volume}}
    if settings.volume.startswith("gs://"):
        # A finished checkpoint is a renamed folder, which a bucket does file by file.
        options = {"bucketName": settings.volume.removeprefix("gs://").rstrip("/"), "mountOptions": "implicit-dirs,rename-dir-limit=100000"}
        results = {"csi": {"driver": "gcsfuse.csi.storage.gke.io", "volumeAttributes": options}}
    files = gin_files(job.command)
    items = [{"key": _key(i), "path": path} for i, path in enumerate(files)]
    gin = [{"name": "gin", "configMap": {"name": job.name, "items": items}}] if files else []
    return [{"name": "results", **results}, *gin]


def _resource(accelerator: Accelerator) -> str:
    return "google.com/tpu" if accelerator.is_tpu else "nvidia.com/gpu"


def _labels(job: Job) -> dict[str, str]:
    return {"app.kubernetes.io/name": "ptune", "app.kubernetes.io/instance": job.name}


def _key(i: int) -> str:
    return f"{i}.gin"
