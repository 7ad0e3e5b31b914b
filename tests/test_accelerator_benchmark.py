"""The accelerator's benchmark runs on a machine that has JAX alone; a part that fails leaves the others standing."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import accelerator, accelerator_part, accelerator_plan, kernel_times, model_sizes, network_parts, random_step
from benchmarks.kernel_times import Kernel
from ptune_cli.reports import parameters
from ptune_cli.t5.config import parameter_shapes

ROOT = Path(__file__).parents[1]
# The standard library's own are free; these are JAX, Flax, Optax, NumPy, safetensors and rich, with what they import.
ALONE = '''
import sys

FREE = set(sys.stdlib_module_names) | set("""absl benchmarks chex cloudpickle cython_runtime etils filelock flatbuffers
flax jax jaxlib markdown_it mdurl ml_dtypes msgpack numpy opt_einsum optax ptune_cli pygments rich safetensors scipy sitecustomize
toolz treescope typing_extensions yaml""".split())


class Alone:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        free = name.partition(".")[0] in FREE or name.startswith("_")
        return self.finder.find_spec(name, path, target) if free else None

    def __getattr__(self, name):
        return getattr(self.finder, name)


sys.meta_path[:] = [Alone(finder) for finder in sys.meta_path]
'''
# LLVM's optimisation is most of what compiling takes here.
QUICK = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"}


def test_every_part_runs_with_jax_alone(tmp_path):
    """Whole processes, in which nothing but JAX, Flax, Optax, NumPy, safetensors and rich can be imported."""
    (tmp_path / "sitecustomize.py").write_text(ALONE)
    alone = subprocess.run(
        [sys.executable, "-c", "import gin"], env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True
    )
    assert b"No module named 'gin'" in alone.stderr
    output = tmp_path / "lines.jsonl"
    command = [sys.executable, "-m", "benchmarks.accelerator", "--quick", "--sizes", "xl", "--output", str(output)]
    environment = os.environ | QUICK | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert found == [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert {line["part"]: "error" in line for line in found if "cudnn" not in line.get("way", "")} == dict.fromkeys(
        accelerator_part.PARTS, False
    )
    assert all(line["device_kind"] == "cpu" and line["versions"]["flax"] and line["cores"] for line in found)
    of = {part: [line for line in found if line["part"] == part] for part in accelerator_part.PARTS}
    check_steps(of["mfu"] + of["members"] + of["xxl"])
    trace = of["mfu"][0]["trace"]
    assert 0 <= trace["idle"] < 1 and 0 <= trace["unknown"] < 0.5 and trace["longest"]
    assert {"encoder mlp products forward", "encoder attention products backward"} <= set(trace["parts"])
    assert [line["members"] for line in of["members"]] == [1, accelerator_plan.QUICK.members]
    check_attention(of["attention"])
    padded, cut, packed = of["mix"]
    assert padded["programs"] == 1 and min(line["seconds"] for line in (padded, cut, packed)) > 0
    assert [line["size"] for line in of["shapes"]] == ["base", "base", "small", "small"]
    assert "microbatches of 4 rows" in done.stdout  # the trace's table


def check_steps(lines):
    for line in lines:
        assert line["finite"] and line["prompt_changed"] and line["steps"] >= 3
        assert line["share"] == pytest.approx(line["operations_per_second"] / line["rate"])
        assert line["examples_per_second"] == pytest.approx(line["rows"] / line["seconds"])
        assert line["xla_operations"] > 0 and line["compile_seconds"] > 0


def check_attention(lines):
    by_way = {line["way"]: line for line in lines}
    assert all(
        max(by_way[way]["error_of_result"], by_way[way]["error_of_query_gradient"]) < 0.02 for way in ("ptune", "xla, lengths")
    )
    assert all("cuDNN" in line["error"] for way, line in by_way.items() if way.startswith("cudnn"))


def test_a_part_that_fails_leaves_its_error(tmp_path):
    [line] = accelerator.run(accelerator.Part("mfu", ("--size", "no-such-size", "--quick"), 100), 100, tmp_path)
    assert "ended with 1" in line["error"] and "t5_1_1_no-such-size.gin" in line["error"]


def test_a_part_that_takes_too_long_is_stopped(tmp_path):
    [line] = accelerator.run(accelerator.Part("matmul", ("--quick",), 100), 0.1, tmp_path)
    assert line["error"].startswith("stopped after 0 s") and line["part_seconds"] < 30


def test_a_flag_that_xla_does_not_know_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(accelerator, "ONE_BY_ONE", "--xla_no_such_flag=")
    monkeypatch.setenv("XLA_FLAGS", QUICK["XLA_FLAGS"])
    [line] = accelerator.run(accelerator.Part("mfu", ("--size", "base", "--quick"), 100), 100, tmp_path)
    assert line["command_buffers"] and line["seconds"] > 0


def test_what_the_budget_leaves_no_time_for_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["accelerator", "--only", "mfu,mix", "--sizes", "xl", "--budget", "0"])
    found = list(accelerator.measured(accelerator.arguments(), tmp_path))
    assert [(line["part"], line["error"]) for line in found] == [(p, "left out: the budget is spent") for p in ("mfu", "mix")]


@pytest.mark.parametrize("size", model_sizes.NAMES)
def test_sizes_are_those_that_gin_reads(size):
    assert model_sizes.config_of(size) == parameters.config_of(size)


def test_random_weights_have_the_models_shapes_and_dtype():
    config = accelerator_plan.sizes("small", accelerator_plan.QUICK)
    flat = random_step.weights(config)
    leaves = {"/".join(key.key for key in path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(flat)}
    assert {name: leaf.shape for name, leaf in leaves.items()} == parameter_shapes(config)
    assert {leaf.dtype for leaf in leaves.values()} == {jnp.dtype("bfloat16")}
    assert float(leaves["encoder/layers_0/mlp/wo/kernel"].astype(jnp.float32).std()) == pytest.approx(128**-0.5, rel=0.1)


def test_every_row_of_a_bank_begins_with_its_own_prompt():
    batch = random_step.full_batch(512, positions=12, prompt=3, owners=[0, 0, 1])
    np.testing.assert_array_equal(batch.encoder_ids[:, :3], [[-1, -2, -3], [-1, -2, -3], [-4, -5, -6]])
    assert (batch.encoder_ids[:, 3:] > 2).all() and batch.encoder_segments.all()


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        (
            "jit(_accumulate)/jvp(T5.encode)/encoder.encode/layers_1.encode/attention/bhqd,bhkd->bhqk/dot_general",
            "products forward",
        ),
        ("jit(_accumulate)/transpose(jvp(T5.encode))/encoder.encode/layers_1.encode/attention/exp", "softmax backward"),
        (
            "jit(_accumulate)/jvp(T5.encode)/encoder.encode/layers_1.encode/attention.keys_values/key/dot_general",
            "projections forward",
        ),
    ],
)
def test_operations_are_of_a_part_of_the_network(operation, part):
    assert network_parts.part_of(operation) == f"encoder attention {part}"


def test_a_fusion_without_a_name_has_that_of_what_is_in_it():
    hlo = """
%fused_computation.1 (p: bf16[2]) -> bf16[2] {
  %p = bf16[2]{0} parameter(0), metadata={op_name="frozen['a']"}
  ROOT %tanh.1 = bf16[2]{0} tanh(%p), metadata={op_name="jit(_accumulate)/jvp(T5.encode)/encoder.encode/layers_0.encode/mlp/tanh"}
}

ENTRY %main.9 (q: bf16[2]) -> bf16[2] {
  ROOT %loop_fusion.7 = bf16[2]{0} fusion(%q), kind=kLoop, calls=%fused_computation.1
}
"""
    known = network_parts.operations(hlo)
    assert (
        network_parts.part_of(known["loop_fusion.7"])
        == "encoder mlp activation forward"
        == network_parts.part_of(known["loop_fusion_7"])
    )


def test_kernels_that_overlap_leave_no_more_idle_time_than_there_is():
    kernels = [Kernel("nvjet_x", 0, 60, "a"), Kernel("loop_add_fusion_1", 30, 70, "b"), Kernel("loop_add_fusion_2", 90, 100, "b")]
    found = kernel_times.summary(kernels, steps=2)
    assert found["idle"] == pytest.approx(0.2) and found["step_ms"] == pytest.approx(50e-6)
    assert found["kinds"] == {"matrix products": 0.6, "elementwise and other fusions": 0.5}
    assert Counter({each["name"]: each["share"] for each in found["longest"]}) == {"nvjet_x": 0.6, "loop_add_fusion": 0.5}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nvjet_tst_128x256_64x4_2x1_v_bz_coopA_NTN", "matrix products"),
        ("gemm_fusion_dot_12", "matrix products"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_bprop_wgmma", "fused attention"),
        ("input_reduce_fusion_3", "reductions"),
        ("MemcpyD2D", "copies"),
        ("loop_multiply_fusion", "elementwise and other fusions"),
    ],
)
def test_kernels_are_told_apart_by_name(name, kind):
    assert kernel_times.kind_of(name) == kind
