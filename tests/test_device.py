"""What suits the device: how many positions a step computes at once, by what was measured of the memory that they take."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ptune_cli.data.microbatches import COSTS
from ptune_cli.device import cost_here, fitting, kept_bytes
from ptune_cli.reports.parameters import config_of

RESULTS = Path(__file__).parents[1] / "benchmarks" / "accelerator_results.jsonl"
LINES = [json.loads(line) for line in RESULTS.read_text().splitlines()]
LATEST = LINES[-1]["commit"]
STEPS = [line for line in LINES if line["part"] in ("mfu", "xxl") and line["commit"] == LATEST]


def test_there_are_measurements_of_four_sizes():
    assert {line["size"] for line in STEPS} == {"base", "large", "xl", "xxl"}


def config(size: str):
    return replace(config_of(size), dtype="bfloat16")


@pytest.mark.parametrize("line", STEPS, ids=[f"{line['size']}-{line['microbatches']}" for line in STEPS])
def test_what_a_position_keeps_is_what_a_gpu_was_seen_to_take(line):
    positions = line["rows"] * line["positions"] // line["microbatches"]
    assert line["program_bytes"] == pytest.approx(positions * kept_bytes(config(line["size"])), rel=0.01)


def test_a_batch_that_was_seen_to_fit_is_computed_at_once_and_no_more_than_fits():
    """XXL's 32 rows of 512 positions took 43 GB besides the weights."""
    assert fitting(config("xxl"), int(58e9)) > 32 * 512 > fitting(config("xxl"), int(48e9))
    assert fitting(config("xxl"), -1) == 1
    assert fitting(replace(config("xxl"), dtype="float32"), int(58e9)) == pytest.approx(fitting(config("xxl"), int(29e9)), abs=1)


def test_positions_that_are_asked_for_are_computed_at_once():
    assert cost_here(77, config("small"), 0) == replace(COSTS["cpu"], positions=77)
    assert cost_here(None, config("small"), 0) == COSTS["cpu"]
