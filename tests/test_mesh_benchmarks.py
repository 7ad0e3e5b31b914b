"""What benchmarks say of meshes: the formula of what devices send gives what XLA's program does, and bounds on pods follow."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from benchmarks import collectives, pod_table, tpu_program
from benchmarks.mesh_part import config_of
from benchmarks.model_sizes import config_of as t5
from benchmarks.random_step import TARGETS
from benchmarks.step_traffic import Shape, sent_by_step
from ptune_cli.t5.config import parameter_count
from ptune_cli.t5.sharding import Placement

ROOT = Path(__file__).parents[1]
SHAPE = Shape(rows=32, positions=612, targets=TARGETS, prompt=100)
PODS = [line for size in pod_table.SIZES for name in pod_table.ACCELERATORS for line in pod_table.lines(size, name, SHAPE)]


@pytest.fixture(scope="module")
def curve():
    """One process with four devices, and its three meshes."""
    options = ["--width", "32", "--layers", "2", "--rows", "4", "--positions", "16", "--prompt", "4", "--steps", "2"]
    command = [sys.executable, "-m", "benchmarks.mesh_curve", "--layouts", "1x4", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_line_for_each_mesh_says_what_its_step_took(curve):
    assert [(line["data"], line["model"]) for line in curve] == [(4, 1), (2, 2), (1, 4)]
    for line in curve:
        assert (line["processes"], line["devices"], line["rows"]) == (1, 4, 4)
        assert line["ratio"] == pytest.approx(line["cpu_seconds"] / curve[0]["cpu_seconds"])
        assert min(line[key] for key in ("seconds", "cpu_seconds", "compile_seconds", "cores")) > 0
        assert line["cpu"] and line["versions"]
    whole, half, quarter = (line["weight_bytes"] for line in curve)
    assert whole == 4 * parameter_count(config_of(curve[0]))
    assert whole / 2 < half < whole / 1.9 and whole / 4 < quarter < whole / 3.7  # norms are on every device


def test_the_formula_gives_what_the_compiled_program_sends(curve):
    for line in curve:
        shape = Shape(line["rows"], line["positions"], TARGETS, line["prompt"])
        assert sent_by_step(config_of(line), shape, line["data"], line["model"]) == line["sent_bytes"]


@pytest.mark.parametrize(
    ("groups", "devices"),
    [
        ("[2,4]<=[8]", 4),
        ("[1,8]<=[2,4]T(1,0)", 8),
        ("{{0,1,2},{3,4,5}}", 3),
        ("mesh['a'=2,'b'=1,'c'=4] {'b','c'}", 4),
        ("mesh['a'=2,'b'=1,'c'=4], device_ids=([4,2]T(1,0)) {'a'}", 2),
    ],
)
def test_bytes_are_counted_from_each_way_in_which_hlo_writes_groups(groups, devices):
    line = (
        f"  %r = (f32[8,5,32]{{2,1,0}}, bf16[1]{{0}}) all-reduce(%a, %b), channel_id=1, replica_groups={groups}, use_global=true"
    )
    assert collectives.sent(line) == 2 * (8 * 5 * 32 * 4 + 2) * (devices - 1) / devices


def test_a_collective_that_is_not_known_is_not_left_out():
    with pytest.raises(KeyError, match="all-to-all"):
        collectives.sent("  %r = f32[8]{0} all-to-all(%a), channel_id=1, replica_groups=[2,4]<=[8], dimensions={0}")


def test_devices_that_are_written_in_another_way_are_not_taken_for_none():
    with pytest.raises(ValueError, match="not written in a way that is known"):
        collectives.sent("  %r = f32[8]{0} all-reduce(%a), channel_id=1, replica_groups={}, to_apply=%add")


def test_every_preset_is_in_the_table_of_pods_and_ptunes_own_choice_beside_it():
    chosen = {(line["size"], line["accelerator"], line["data"], line["model"]) for line in PODS if "preset" in line["chosen"]}
    assert chosen == {(*name, *mesh) for name, mesh in pod_table.preset_meshes().items()} and len(chosen) == 5
    both = {(line["size"], line["accelerator"]) for line in PODS if "ptune" in line["chosen"]}
    assert both == {(size, name) for size in pod_table.SIZES for name in pod_table.ACCELERATORS}


def test_a_pods_bounds_are_of_one_chip():
    by_name = {(line["size"], line["accelerator"], line["model"]): line for line in PODS}
    whole, twice, split = by_name["xl", "v6e-8", 1], by_name["xl", "v6e-16", 1], by_name["xxl", "v5litepod-16", 4]
    assert whole["weight_bytes"] == 2 * parameter_count(t5("xl"))
    assert whole["sent_bytes"] == whole["merged_bytes"] == 2 * 7 / 8 * 4 * (100 * 2048 + 3)  # a prompt's gradient, three sums
    assert whole["operations"] == pytest.approx(2 * twice["operations"])
    assert whole["computing_seconds"] == pytest.approx(whole["operations"] / 918e12)
    assert split["sending_seconds"] == pytest.approx(split["sent_bytes"] / 200e9)
    # 24 layers read with 5 kernels in the encoder, and with 2 in the decoder; merged with 2, and all of the decoder's with 1.
    assert split["sent_bytes"] / split["merged_bytes"] == pytest.approx((1 + 7 * 24 + 2 * 24) / (1 + 4 * 24 + 1), rel=0.01)
    xxl = replace(t5("xxl"), dtype="bfloat16")
    assert pod_table.weight_bytes(xxl, 2, 8) == 2_784_707_584  # as XLA has it: tests/test_sharding.py


def test_a_program_that_is_compiled_for_devices_elsewhere_is_told_beside_the_formula():
    """On this one, as the TPU's compiler is not here."""
    found = tpu_program.compiled(tiny.CONFIG, Shape(rows=2, positions=12, targets=TARGETS, prompt=5), Placement.of())
    assert found["sent_bytes"] == found["formula_bytes"] == found["merged_bytes"] == 0
    assert found["argument_bytes"] > 4 * parameter_count(tiny.CONFIG) and found["working_bytes"] > 0
