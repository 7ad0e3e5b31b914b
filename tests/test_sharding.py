"""A mesh of devices, in one process and in two, computes what one device computes; and holds and moves no more than it has to."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from processes import free_port

from ptune_cli.t5.config import parameter_shapes
from ptune_cli.t5.sharding import axes_of

HERE = Path(__file__).parent
MESHES = {"1x8": (1, 8), "2x4": (2, 4), "4x2": (4, 2), "8x1": (8, 1)}


def start(program: str, *arguments: str, devices: int) -> subprocess.Popen:
    """A program of this folder in a process of its own, with so many devices."""
    environment = os.environ | {
        "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}",
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}",
    }
    command = [sys.executable, str(HERE / program), *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def result(process: subprocess.Popen):
    out, error = process.communicate()
    assert process.returncode == 0, error
    return json.loads(out.splitlines()[-1])  # gloo has something to say first


def two_processes(**options) -> list[subprocess.Popen]:
    """`sharded_training.py` in two processes of four devices each."""
    coordinator = f"127.0.0.1:{free_port()}"
    each = [json.dumps({**options, "coordinator": coordinator, "process": i}) for i in range(2)]
    return [start("sharded_training.py", text, devices=4) for text in each]


@pytest.fixture(scope="module")
def one_device():
    return result(start("sharded_training.py", json.dumps({"meshes": [[1, 1]]}), devices=1))[0]


@pytest.fixture(scope="module")
def on_meshes():
    options = json.dumps({"meshes": list(MESHES.values())})
    return dict(zip(MESHES, result(start("sharded_training.py", options, devices=8)), strict=True))


def assert_same(found: dict, expected: dict) -> None:
    """Losses, prompts and log-likelihoods to 1e-5, decoded ids to the last."""
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-5)
    for name, prompt in expected["prompts"].items():
        np.testing.assert_allclose(found["prompts"][name], prompt, atol=1e-5)
    np.testing.assert_allclose(found["rank"], expected["rank"], rtol=1e-5)
    assert found["greedy"] == expected["greedy"]


@pytest.mark.parametrize("mesh", MESHES)
def test_a_mesh_trains_and_answers_as_one_device_does(mesh, on_meshes, one_device):
    assert_same(on_meshes[mesh], one_device)


def test_two_processes_train_and_answer_as_one_device_does(one_device):
    first, second = two_processes(meshes=[[2, 4], [1, 8]])
    for found in result(first):
        assert_same(found, one_device)
    result(second)


@pytest.mark.parametrize("kind", ["packing", "whole"])
def test_packed_rows_and_a_model_that_is_tuned_are_the_same_on_a_mesh(kind):
    options = {"meshes": [[1, 1], [2, 4]], kind: True}
    one, several = result(start("sharded_training.py", json.dumps(options), devices=8))
    np.testing.assert_allclose(several["losses"], one["losses"], rtol=1e-5)
    for name in one.keys() & {"kernel"}:
        np.testing.assert_allclose(several[name], one[name], atol=1e-5)


def test_every_kernel_and_embedding_is_split_and_nothing_else():
    split = {name for name, shape in parameter_shapes(tiny.CONFIG).items() if axes_of(name, len(shape))}
    whole = parameter_shapes(tiny.CONFIG).keys() - split
    assert all(re.search(r"norm/scale$", name) for name in whole), whole
    assert not any("scale" in name for name in split)


def test_what_an_optimizer_keeps_of_a_parameter_lies_where_the_parameter_does():
    assert axes_of("optimizer/0/v/encoder/layers_0/mlp/wo/kernel", 2) == ("model", None)
    assert axes_of("optimizer/0/v_row/encoder/layers_0/mlp/wo/kernel", 1) == ()


def test_a_task_may_be_called_as_a_parameter_is():
    assert axes_of("trainable/kernel-0", 2) == ()
