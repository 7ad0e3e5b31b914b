"""The Kubernetes launcher: its manifests by JobSet's schema and beside xpk's, and its talk with a stand-in for kubectl."""

import json
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import stand_ins
import structural_schema
import yaml

from ptune_cli.errors import RunFailure, UserError
from ptune_cli.launchers import cluster
from ptune_cli.launchers.accelerators import ACCELERATORS
from ptune_cli.launchers.job import Job
from ptune_cli.launchers.jobset import JobSet

ORACLES = Path(__file__).parent / "oracles" / "launchers"
SCHEMA = json.loads((ORACLES / "jobset.schema.json").read_text())
STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
METADATA = {"type": "object", "properties": {"name": {"type": "string"}, "labels": STRINGS, "annotations": STRINGS}}
SCHEMA["properties"]["metadata"] = METADATA  # which the published schema leaves to Kubernetes
XPK = json.loads((ORACLES / "xpk_job_sets.json").read_text())

JOB = Job("xl", ("train", "--gin", "runs/demo.gin", "--output", "runs/xl"), Path("launches/xl"))
SETTINGS = dict(accelerator="v6e-16", image="registry.example/ptune:1", volume="results", poll=0.01)


def launcher(**settings) -> JobSet:
    return JobSet(**{**SETTINGS, **settings})


def manifests(settings: JobSet, job: Job = JOB) -> list[dict[str, Any]]:
    (text,) = settings.plan(job).files.values()
    return list(yaml.safe_load_all(text))


def slices(manifest: dict[str, Any]) -> dict[str, Any]:
    (found,) = manifest["spec"]["replicatedJobs"]
    return found


def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    return slices(manifest)["template"]["spec"]["template"]["spec"]


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod(manifest)["containers"]
    return found


EVERY_SETTING = dict(
    slices=2, queue="research", namespace="team", service_account="trainer", spot=True, priority="low", environment=("A=b=c",)
)


@pytest.mark.parametrize("name", ACCELERATORS)
def test_every_accelerators_manifest_is_valid(name):
    (manifest,) = manifests(launcher(accelerator=name))
    assert not list(structural_schema.errors(manifest, SCHEMA))


@pytest.mark.parametrize("name", ["v6e-16", "h100-80gb-8"])
@pytest.mark.parametrize("volume", ["results", "gs://bucket"])
def test_a_manifest_with_every_setting_is_valid(name, volume):
    (manifest,) = manifests(launcher(accelerator=name, volume=volume, **EVERY_SETTING))
    assert not list(structural_schema.errors(manifest, SCHEMA))


def test_the_schema_finds_a_misspelt_field_a_wrong_type_and_an_unknown_choice():
    (manifest,) = manifests(launcher())
    pod(manifest)["nodeSelectors"] = pod(manifest).pop("nodeSelector")
    slices(manifest)["replicas"] = "2"
    manifest["spec"]["failurePolicy"]["rules"][0]["action"] = "Restart"
    found = list(structural_schema.errors(manifest, SCHEMA))
    assert [error.partition(": ")[2].split(" is not one")[0] for error in found] == [
        "'Restart'",
        "'2' is not integer",
        "unknown field nodeSelectors",
    ]


@pytest.mark.parametrize("xpk", XPK, ids=lambda xpk: f"{xpk['accelerator']} x {xpk['slices']}")
def test_it_asks_for_the_same_machines_as_xpk(xpk):
    """Each of xpk's fields that ptune has too, but for three choices."""
    name, expected = xpk["accelerator"], xpk["fields"]
    (manifest,) = manifests(launcher(accelerator=name, slices=xpk["slices"], queue="multislice-queue"))
    if ACCELERATORS[name].hosts == 1:
        expected["exclusive"] = None  # single machines may share a node pool
    if not ACCELERATORS[name].is_tpu:
        expected["network"] = False  # as xpk has it for H100s
        expected["nodes"] = {"cloud.google.com/gke-accelerator": ACCELERATORS[name].label}  # xpk leaves that to Kueue
        expected["tolerations"] = ["nvidia.com/gpu"]
    assert fields(manifest) == expected


def fields(manifest: dict[str, Any]) -> dict[str, Any]:
    """What says which machines, how many, and what happens when one is lost."""
    spec = slices(manifest)["template"]["spec"]
    return {
        "queue": manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"],
        "exclusive": manifest["metadata"].get("annotations", {}).get("alpha.jobset.sigs.k8s.io/exclusive-topology"),
        "replicas": slices(manifest)["replicas"],
        **{key: spec[key] for key in ("parallelism", "completions", "backoffLimit")},
        "nodes": pod(manifest)["nodeSelector"],
        "network": pod(manifest).get("hostNetwork", False),
        "restart": pod(manifest)["restartPolicy"],
        "limits": container(manifest)["resources"]["limits"],
        "tolerations": [item["key"] for item in pod(manifest)["tolerations"]],
    }


def test_a_preempted_command_restarts_without_end_a_mistake_never_and_a_failure_a_few_times():
    (manifest,) = manifests(launcher(max_restarts=3))
    policy = manifest["spec"]["failurePolicy"]
    # Kubernetes' own words (pkg/controller/job/pod_failure_policy.go) for the rules that a pod's end matches.
    container_ended = "Container ptune for pod default/xl-slice-0-1-abc failed with exit code {} matching FailJob rule at index 0"
    evicted = "Pod default/xl-slice-0-1-abc has condition DisruptionTarget matching FailJob rule at index 1"
    assert policy["maxRestarts"] == 3
    assert action(policy, container_ended.format(75)) == action(policy, evicted) == "RestartJobSetAndIgnoreMaxRestarts"
    assert action(policy, container_ended.format(2)) == "FailJobSet"
    (codes, condition) = slices(manifest)["template"]["spec"]["podFailurePolicy"]["rules"]
    assert sorted(codes["onExitCodes"]["values"]) == [2, 75] and condition["onPodConditions"][0]["type"] == "DisruptionTarget"


def action(policy: dict[str, Any], message: str) -> str:
    """JobSet's: of the first rule with a pattern that is found in the message of a failed Job."""
    return next(
        rule["action"]
        for rule in policy["rules"]
        if any(re.search(pattern, message) for pattern in rule["onJobFailureMessagePatterns"])
    )


def test_a_slice_is_one_job_on_one_node_pool_and_slices_are_replicas():
    (manifest,) = manifests(launcher(accelerator="v5p-32", slices=3))
    assert slices(manifest)["replicas"] == 3 and slices(manifest)["template"]["spec"]["completions"] == 4
    assert manifest["metadata"]["annotations"] == {"alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"}
    assert container(manifest)["env"] == [{"name": "JAX_COORDINATOR_PORT", "value": "8476"}]
    assert container(manifest)["command"] == ["ptune", *JOB.command]


def test_machines_with_gpus_are_told_their_coordinator_by_its_stable_name():
    (manifest,) = manifests(launcher(accelerator="h100-80gb-8", slices=2))
    assert slices(manifest)["replicas"] == 1 and slices(manifest)["template"]["spec"]["completions"] == 2
    assert shlex.join(container(manifest)["command"][:8]) == (
        "ptune train --processes.coordinator xl-slice-0-0.xl:8476 --processes.count 2 --processes.index '$(JOB_COMPLETION_INDEX)'"
    )
    assert container(manifest)["command"][8:] == list(JOB.command[1:])
    assert container(manifest)["resources"]["limits"] == {"nvidia.com/gpu": 8}


def test_one_machine_with_gpus_has_no_coordinator():
    (manifest,) = manifests(launcher(accelerator="h100-80gb-8"))
    assert container(manifest)["command"] == ["ptune", *JOB.command]


def test_each_share_is_a_job_set_of_its_own():
    found = manifests(launcher(accelerator="v5litepod-4", queue="q"), replace(JOB, shares=3))
    assert [manifest["metadata"]["name"] for manifest in found] == ["xl-0", "xl-1", "xl-2"]
    assert [container(manifest)["command"][2:4] for manifest in found] == [["--share", f"{i}/3"] for i in range(3)]
    assert {slices(manifest)["replicas"] for manifest in found} == {1}


def test_what_kubernetes_would_take_for_a_variable_reaches_ptune_as_it_is():
    (manifest,) = manifests(launcher(), replace(JOB, command=("train", "--name", "$(HOME)")))
    assert container(manifest)["command"] == ["ptune", "train", "--name", "$$(HOME)"]


def test_the_users_gin_files_go_along_and_those_that_ship_do_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.gin").write_text("include 'mine/b.gin'\n")
    (tmp_path / "mine" / "b.gin").write_text("# b\n")
    job = replace(JOB, command=("train", "--gin", "runs/demo.gin", "--gin=mine/a.gin"))
    config, manifest = manifests(launcher(), job)
    assert config["data"] == {"0.gin": "include 'mine/b.gin'\n", "1.gin": "# b\n"}
    gin = next(volume for volume in pod(manifest)["volumes"] if volume["name"] == "gin")
    items = [{"key": "0.gin", "path": "mine/a.gin"}, {"key": "1.gin", "path": "mine/b.gin"}]
    assert gin["configMap"] == {"name": "xl", "items": items}
    mount = next(mount["mountPath"] for mount in container(manifest)["volumeMounts"] if mount["name"] == "gin")
    assert container(manifest)["env"] == [{"name": "PTUNE_GIN_PATH", "value": mount}]
    assert not list(structural_schema.errors(manifest, SCHEMA))


def test_the_gin_files_of_a_sweep_go_along_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("base", "a", "b"):
        (tmp_path / f"{name}.gin").write_text(f"# {name}\n")
    flags = ("--base", "('base.gin', 'runs/demo.gin')", "--over", "('gin=a.gin b.gin', 'tasks=boolq')")
    config, *shares = manifests(launcher(), replace(JOB, command=("sweep", *flags), shares=2))
    assert sorted(config["data"].values()) == ["# a\n", "# b\n", "# base\n"]
    assert len(shares) == 2


def test_results_are_on_a_claim_or_in_a_bucket():
    (claim,), (bucket,) = manifests(launcher()), manifests(launcher(volume="gs://mine/"))
    assert pod(claim)["volumes"] == [{"name": "results", "persistentVolumeClaim": {"claimName": "results"}}]
    assert pod(bucket)["volumes"][0]["csi"]["volumeAttributes"]["bucketName"] == "mine"
    template = slices(bucket)["template"]["spec"]["template"]
    assert template["metadata"]["annotations"] == {"gke-gcsfuse/volumes": "true"}
    assert container(claim)["workingDir"] == container(claim)["volumeMounts"][0]["mountPath"]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"accelerator": "v6e-63"}, "no accelerator 'v6e-63'; did you mean 'v6e-64'?"),
        ({"slices": 0}, "slices is 0"),
        ({"accelerator": "v6e-4", "slices": 2}, "2 slices of v6e-4 cannot run together"),
        ({"environment": ("A",)}, "'A' in environment has no value"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(settings, message):
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        launcher(**settings)


@dataclass
class Cluster:
    """The stand-in for kubectl."""

    folder: Path

    def say(self, **script) -> None:
        (self.folder / "script.json").write_text(json.dumps(script))

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]

    def verbs(self) -> list[str]:
        return [call[2] for call in self.calls() if call[2] != "get"]


@pytest.fixture
def cluster_(tmp_path, monkeypatch) -> Cluster:
    folder = tmp_path / "cluster"
    folder.mkdir()
    monkeypatch.setenv("STAND_IN", str(folder))
    monkeypatch.setenv("PATH", stand_ins.install("kubectl", tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    return Cluster(folder)


RUNNING, DONE, FAILED = {}, {"terminalState": "Completed"}, {"terminalState": "Failed", "restarts": 2}
QUEUED = {"conditions": [{"type": "Suspended", "status": "True"}]}


def pods(*codes: int) -> list[dict[str, Any]]:
    return [{"status": {"containerStatuses": [{"state": {"terminated": {"exitCode": code}}}]}} for code in codes]


def test_a_job_set_is_applied_followed_and_deleted(cluster_, capfd):
    cluster_.say(states=[[QUEUED], [RUNNING], [RUNNING], [DONE]], logs=["", "step 1\n", "step 2\n", ""])
    assert launcher().run(JOB) == 0
    assert capfd.readouterr().out.splitlines()[1:] == ["queued", "running", "step 1", "step 2", "completed"]
    assert cluster_.verbs() == ["apply", *["logs"] * 4, "delete"]
    assert Path("launches/xl/xl.yaml").is_file()
    first, second = [call for call in cluster_.calls() if call[2] == "logs"][:2]
    assert second[: len(first)] == first and second[len(first)] == "--since-time"  # no line twice


def test_what_is_run_is_what_was_planned(cluster_):
    cluster_.say(states=[[DONE]])
    planned = [list(command[1:]) for command in launcher().plan(JOB).commands]
    launcher().run(JOB)
    assert [call for call in cluster_.calls() if call[2] != "logs"] == [planned[1], planned[0], planned[1], planned[2]]


@pytest.mark.parametrize("codes, code", [((0, 2, 137), 2), ((1, 0), 1), ((), 1)])
def test_a_failed_job_set_stays_and_tells_a_mistake_from_a_failure(cluster_, capfd, codes, code):
    cluster_.say(states=[[RUNNING], [FAILED]], pods=pods(*codes))
    assert launcher().run(JOB) == code
    assert cluster_.verbs()[-1] != "delete"
    printed = capfd.readouterr()
    assert "failed, 2 restarts" in printed.out
    assert "to remove it: kubectl --namespace default delete --filename launches/xl/xl.yaml" in printed.err


def test_one_that_failed_earlier_is_replaced_and_one_that_runs_is_followed(cluster_):
    cluster_.say(there=True, states=[[FAILED], [DONE]])
    assert launcher().run(JOB) == 0
    assert [verb for verb in cluster_.verbs() if verb != "logs"] == ["delete", "apply", "delete"]
    (cluster_.folder / "memory.json").unlink()
    (cluster_.folder / "calls.jsonl").unlink()
    cluster_.say(there=True, states=[[RUNNING], [DONE]])
    assert launcher().run(JOB) == 0
    assert [verb for verb in cluster_.verbs() if verb != "logs"] == ["apply", "delete"]


def test_an_array_is_counted_and_fails_if_one_share_does(cluster_, capfd):
    cluster_.say(states=[[RUNNING, QUEUED, QUEUED], [DONE, RUNNING, FAILED], [DONE, DONE, FAILED]], pods=pods(0, 1))
    assert launcher().run(replace(JOB, shares=3)) == 1
    assert capfd.readouterr().out.splitlines()[1:] == [
        "2 queued, 1 running",
        "1 completed, 1 failed, 1 running, 2 restarts",
        "2 completed, 1 failed, 2 restarts",
    ]


def test_what_the_cluster_refuses_is_said(cluster_):
    cluster_.say(fail={"apply": 'namespaces "team" not found'})
    with pytest.raises(RunFailure, match='kubectl --namespace team apply .* ended with 1: .*namespaces "team" not found'):
        launcher(namespace="team").run(JOB)


def test_a_job_set_deleted_by_someone_else_ends_the_launch():
    with pytest.raises(RunFailure, match="gone from the cluster"):
        cluster.summary([])


def test_without_kubectl_it_is_said_what_is_missing(cluster_, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UserError, match="kubectl is not installed"):
        launcher().run(JOB)
