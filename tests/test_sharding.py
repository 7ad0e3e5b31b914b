"""A mesh of devices, in one process and in two, computes what one device computes; and holds and moves no more than it has to."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import lowered_xxl
import model_folder
import numpy as np
import pytest
import tiny
from processes import free_port
from test_formats_t5x import oracle as t5x_oracle

from ptune_cli.base_model import BaseModel, flat_parameters
from ptune_cli.errors import UserError
from ptune_cli.mesh import meshes, placement, smallest_split
from ptune_cli.t5.config import T5Config, parameter_count, parameter_shapes
from ptune_cli.t5.sharding import Placement, axes_of

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
    return json.loads(out)


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
    first, second = two_processes(meshes=[[2, 4]])
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


def parts_read(checkpoint: Path, config: dict | None) -> list[dict]:
    """What each of two processes says of a checkpoint that they load onto four devices."""
    options = {"coordinator": f"127.0.0.1:{free_port()}", "checkpoint": str(checkpoint), "config": config}
    return list(map(result, [start("loaded_parts.py", json.dumps({**options, "process": i}), devices=2) for i in range(2)]))


@pytest.mark.parametrize("kind", ["huggingface", "legacy", "orbax"])
def test_each_process_reads_only_its_own_parts_of_the_weights(kind, tmp_path):
    if kind == "huggingface":
        folder, config = model_folder.write(tmp_path / "model", num_heads=4, head_dim=4), None
    else:
        folder, config, _ = t5x_oracle(kind)
    params, fingerprint = BaseModel(checkpoint=str(folder), config=config).read(Placement.of())
    for found in parts_read(folder, config and asdict(config)):
        assert found["fingerprint"] == fingerprint
        for name, array in flat_parameters(params).items():
            assert found["read"][name] == (0.5 if axes_of(name, array.ndim) else 1.0), name


def test_the_step_of_xxl_moves_activations_and_no_weights():
    """Of T5 1.1 XXL's sizes on 16 devices, as many as a v5p-32 has: two parts of a batch's rows, eight of the weights.

    Six layers of each stack compile in seconds; what all 24 hold is in tests/test_mesh_benchmarks.py.
    """
    data, model, layers, rows, length, targets = 2, 8, 6, 16, 612, 8
    found = result(start("lowered_xxl.py", *map(str, (data, model, layers, rows, length)), devices=16))
    config = T5Config(**lowered_xxl.XXL, num_encoder_layers=layers, num_decoder_layers=layers)
    split = [math.prod(shape) for name, shape in parameter_shapes(config).items() if axes_of(name, len(shape))]
    whole = parameter_count(config) - sum(split)
    assert found["weights"] == 2 * (sum(split) // model + whole)
    assert found["arguments"] < 1.01 * found["weights"]
    kinds = {name.split()[0] for name in found["collectives"]}
    assert kinds == {"all-reduce", "all-gather"}
    moved = {
        kind: {shape for name in found["collectives"] if name.startswith(kind) for shape in shapes_in(name)} for kind in kinds
    }
    width, each = config.emb_dim, rows // data
    # The choice of the likeliest token for the accuracy that is logged: of each device its best.
    assert moved["all-gather"] == {(each, targets, model)}
    activations = {(each, t, width) for t in (length, targets)} | {(each, width, length)}  # and across, of the cross-attention
    others = {(100, width), (1,), (each, targets), (each, targets, 1)}  # the prompt's gradient, sums, and of the softmax
    assert moved["all-reduce"] <= activations | others


def shapes_in(collective: str) -> list[tuple[int, ...]]:
    return [tuple(map(int, shape.split(","))) for shape in re.findall(r"\[([\d,]+)\]", collective)]


@pytest.mark.parametrize(
    ("mesh", "said"),
    [
        ("4", "mesh is '4', expected data=N,model=M; have: data=1,model=1"),
        ("data=2,model=2", "mesh data=2,model=2 has 4 devices, and there are 1; have: data=1,model=1"),
        ("data=0,model=1", "mesh is 'data=0,model=1', expected data=N,model=M; have: data=1,model=1"),
    ],
)
def test_what_is_no_mesh_here_is_told_of_with_those_that_are(mesh, said):
    with pytest.raises(UserError, match=re.escape(said)):
        placement(mesh, tiny.CONFIG, 0)


def test_a_mesh_has_to_split_heads_evenly():
    assert list(meshes(tiny.config(num_heads=6, mlp_dim=12), 12)) == [(12, 1), (6, 2)]


def test_weights_are_split_as_little_as_there_is_room_for():
    config = tiny.config(num_heads=8)
    assert [smallest_split(config, size, 8, memory=100) for size in (50, 51, 200, 10_000)] == [(8, 1), (4, 2), (2, 4), (1, 8)]
