"""A machine's part of a job set: its pod, with the container that runs ptune, the chips, the results and the user's gin files."""

from typing import TYPE_CHECKING, Any

from ptune_cli.launchers.accelerators import Accelerator
from ptune_cli.launchers.job import Job
from ptune_cli.launchers.shipping import gin_files

if TYPE_CHECKING:
    from ptune_cli.launchers.jobset import JobSet

FOLDER, GIN_FOLDER = "/ptune", "/etc/ptune/gin"  # in the container
PORT = 8476  # of the coordinator between slices: v6e's firewall closes JAX's own choice, 8482 (JAX's issue 35905)


def metadata(settings: "JobSet", job: Job) -> dict[str, Any]:
    """Labels, and what the bucket's file system wants to be told."""
    fuse = {"annotations": {"gke-gcsfuse/volumes": "true"}} if settings.volume.startswith("gs://") else {}
    return {"labels": labels(job), **fuse}


def spec(settings: "JobSet", job: Job, name: str, share: int, accelerator: Accelerator) -> dict[str, Any]:
    """What runs on each machine of the job set `name`."""
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
    if gin_files(job.command):
        pairs.append(["PTUNE_GIN_PATH", GIN_FOLDER])
    mounts = [{"name": "results", "mountPath": FOLDER}]
    if gin_files(job.command):
        mounts.append({"name": "gin", "mountPath": GIN_FOLDER})
    return {
        "name": "ptune",
        "image": settings.image,
        "command": ["ptune", *_arguments(settings, job, name, share, accelerator)],
        "workingDir": FOLDER,
        **({"env": [{"name": name, "value": value} for name, value in pairs]} if pairs else {}),
        "resources": {"limits": {_resource(accelerator): accelerator.chips_per_host}},
        "volumeMounts": mounts,
    }


def _arguments(settings: "JobSet", job: Job, name: str, share: int, accelerator: Accelerator) -> list[str]:
    """The command, with what only a machine of the cluster needs before its own flags, since nothing may follow a `--`."""
    command, *flags = [argument.replace("$(", "$$(") for argument in job.command]  # or Kubernetes would put a variable there
    added = ["--share", f"{share}/{job.shares}"] if job.shares > 1 else []
    if not accelerator.is_tpu and settings.slices > 1:
        added += ["--processes.coordinator", f"{name}-slice-0-0.{name}:{PORT}", "--processes.count", str(settings.slices)]
        added += ["--processes.index", "$(JOB_COMPLETION_INDEX)"]
    return [command, *added, *flags]


def _volumes(settings: "JobSet", job: Job) -> list[dict[str, Any]]:
    results: dict[str, Any] = {"persistentVolumeClaim": {"claimName": settings.volume}}
    if settings.volume.startswith("gs://"):
        # A finished checkpoint is a renamed folder, which a bucket does file by file.
        options = {
            "bucketName": settings.volume.removeprefix("gs://").rstrip("/"),
            "mountOptions": "implicit-dirs,rename-dir-limit=100000",
        }
        results = {"csi": {"driver": "gcsfuse.csi.storage.gke.io", "volumeAttributes": options}}
    files = gin_files(job.command)
    items = [{"key": key(i), "path": path} for i, path in enumerate(files)]
    gin = [{"name": "gin", "configMap": {"name": job.name, "items": items}}] if files else []
    return [{"name": "results", **results}, *gin]


def _resource(accelerator: Accelerator) -> str:
    return "google.com/tpu" if accelerator.is_tpu else "nvidia.com/gpu"


def labels(job: Job) -> dict[str, str]:
    """By which a job's job sets, pods and gin files are found."""
    return {"app.kubernetes.io/name": "ptune", "app.kubernetes.io/instance": job.name}


def key(i: int) -> str:
    """The i-th gin file's name in the ConfigMap."""
    return f"{i}.gin"
