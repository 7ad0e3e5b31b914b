"""Writes what Google's own launcher, xpk, says of accelerators and of job sets, and the schema of job sets, all beside this file.

pip install xpk==1.16.0, in an environment of its own; then `python make.py CRD`. xpk is asked for manifests only (--dry-run).
CRD is config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml of kubernetes-sigs/jobset at commit 08dfbdfd.
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from xpk.core.system_characteristics import AcceleratorType, UserFacingNameToSystemCharacteristics

HERE = Path(__file__).parent
KEPT = ("type", "enum", "required", "x-kubernetes-int-or-string")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
LEFT_OUT = ("volumeClaimPolicies", "initContainers", "ephemeralContainers", "affinity", *PROBES)
SLICES = (
    *(("v4-16", 1), ("v5litepod-8", 1), ("v5litepod-16", 1), ("v5litepod-256", 2), ("v5p-16", 1), ("v5p-32", 3)),
    *(("v6e-1", 1), ("v6e-8", 1), ("v6e-16", 4), ("v6e-256", 1), ("a100-40gb-1", 1), ("a100-40gb-8", 2), ("h100-80gb-8", 2)),
)


def accelerators() -> None:
    with open(HERE / "xpk_accelerators.csv", "w", newline="") as file:
        file.write("# made by make.py from xpk 1.16.0\n")
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["name", "topology", "vms", "chips", "label", "machine"])
        for name, system in UserFacingNameToSystemCharacteristics.items():
            if system.accelerator_type != AcceleratorType.CPU and name.count("x") <= name.startswith("tpu7x"):
                what = [system.topology, system.vms_per_slice, system.chips_per_vm]
                rows.writerow([name, *what, system.gke_accelerator, system.gce_machine_type])


def manifest(accelerator: str, slices: int) -> dict:
    gpu = "100" in accelerator
    kind = ["--device-type", accelerator, "--num-nodes"] if gpu else ["--tpu-type", accelerator, "--num-slices"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "manifest.yaml"
        where = ["--cluster", "c", "--project", "p", "--zone", "us-east5-b", "--docker-image", "image"]
        how = ["--dry-run", "--skip-validation", "--output-manifest-file", file]
        xpk = [Path(sys.executable).parent / "xpk", "workload", "create", "--workload", "xl", "--command", "ptune"]
        subprocess.run([*xpk, *kind, str(slices), *where, *how], check=True, stdout=subprocess.DEVNULL)
        return yaml.safe_load(file.read_text())


def fields(found: dict) -> dict:
    """Those that ptune's manifests have too."""
    (job,) = found["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    pod = spec["template"]["spec"]
    containers = [container for container in pod["containers"] if "limits" in container.get("resources", {})]
    return {
        "queue": found["metadata"]["labels"]["kueue.x-k8s.io/queue-name"],
        "exclusive": (found["metadata"].get("annotations") or {}).get("alpha.jobset.sigs.k8s.io/exclusive-topology"),
        "replicas": job["replicas"],
        **{key: spec[key] for key in ("parallelism", "completions", "backoffLimit")},
        "nodes": pod.get("nodeSelector") or {},
        "network": pod.get("hostNetwork", False),
        "restart": pod["restartPolicy"],
        "limits": containers[0]["resources"]["limits"],
        "tolerations": [item["key"] for item in pod["tolerations"]],
    }


def structure(schema: dict) -> dict:
    """What the tests check of a schema; no prose."""
    found = {key: value for key, value in schema.items() if key in KEPT}
    if "properties" in schema:
        found["properties"] = {key: structure(value) for key, value in schema["properties"].items() if key not in LEFT_OUT}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = structure(schema[key])
    return found


def job_set_schema(crd: str) -> None:
    versions = yaml.safe_load(Path(crd).read_text())["spec"]["versions"]
    schema = next(version["schema"] for version in versions if version["name"] == "v1alpha2")["openAPIV3Schema"]
    del schema["properties"]["status"]
    (HERE / "jobset.schema.json").write_text(json.dumps(structure(schema), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    job_set_schema(sys.argv[1])
    accelerators()
    found = [{"accelerator": name, "slices": n, "fields": fields(manifest(name, n))} for name, n in SLICES]
    (HERE / "xpk_job_sets.json").write_text(json.dumps(found, indent=1) + "\n")
