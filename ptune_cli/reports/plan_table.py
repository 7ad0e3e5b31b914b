"""The table that `ptune plan` prints."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from ptune_cli.file_task import shown


def table(plan: Mapping[str, Any]) -> Table:
    """What is in the plan's JSON, for people."""
    found = Table(show_header=False, box=None)
    for name, value in (*_sizes(plan), *_times(plan)):
        found.add_row(name, value)
    return found


def _sizes(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    parts = [f"{part['a_step']:.1f} of {part['rows']} x {part['length']}" for part in plan["microbatches"]]
    yield "members", f"{plan['members']}"
    yield "frozen parameters", f"{plan['frozen_parameters']:,}"
    yield "trainable parameters", f"{plan['trainable_parameters']:,} ({plan['percent_trainable']:.5f}%)"
    yield "a step's microbatches", f"{', '.join(parts)} (rows x positions, prompt included)"
    if plan["examples_a_row"] > 1:
        yield "examples in a row", f"{plan['examples_a_row']} at most"
    yield "padding", f"{plan['percent_padding']:.0f}% of the positions"
    yield "targets", f"{plan['target_length']} tokens"
    cut = [f"{plan[f'percent_cut_{kind}']:.2f}% of the {kind}" for kind in ("inputs", "targets")]
    yield "examples that are cut", ", ".join(cut)
    for task, percent in plan["mixture"].items():
        yield f"share of {shown(task)}", f"{percent:.2f}%"
    if plan["step_operations"] is not None:
        yield "a step's operations", f"{plan['step_operations'] / 1e9:,.1f} GFLOP"
    yield "weights", gibibytes(plan["weight_bytes"])
    yield "memory of a step", f"{gibibytes(plan['step_bytes'])}, weights included, in its largest microbatch"


def _times(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    measured = plan["measured"]
    if measured is None:
        yield "time", f"not measured: {plan['not_measured']}"
        return
    yield "memory, measured", f"{gibibytes(measured['peak_bytes'])} at most"
    yield "a step takes", f"{measured['step_seconds']:.3g} s"
    yield "an evaluation takes", duration(measured["evaluation_seconds"])
    yield "the run takes", _sum(measured)


def _sum(measured: Mapping[str, Any]) -> str:
    steps, times = measured["steps"], measured["evaluations"]
    final = duration(measured["final_scoring_seconds"])
    return f"{duration(measured['run_seconds'])}: {steps:,} steps, {times:,} evaluations, {final} of scoring at the end"


def gibibytes(count: float) -> str:
    """Bytes for people, in MiB or GiB."""
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"


def duration(seconds: float) -> str:
    """Seconds for people: 3.2 s, 5 min, 7.5 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
