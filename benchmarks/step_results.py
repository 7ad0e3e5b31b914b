"""What `benchmarks/prompt_step.py` found out, as lines of JSON and as tables."""

import json
import os
import platform
import shutil
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.box import SIMPLE
from rich.table import Table

from benchmarks.systems import BASELINE, Worker


class Sample(NamedTuple):
    """A step: its seconds, the operations that it needed, and the machine's float32 operations a second around it."""

    seconds: float
    operations: float
    rate: float


Samples = dict[str, dict[str, list[Sample]]]  # {task: {system: its steps}}
MIX = "mix"  # every task as often as the others


def lines(samples: Samples, workers: Sequence[Worker], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for each system on each task, and on the mix: medians over the rounds, means of them over the tasks."""
    medians = {task: {name: _each(statistics.median, steps) for name, steps in own.items()} for task, own in samples.items()}
    medians[MIX] = {w.system.name: _each(statistics.fmean, [own[w.system.name] for own in medians.values()]) for w in workers}
    return [_line(task, worker, own, settings) for task, own in medians.items() for worker in workers]


def _each(summary: Any, samples: Sequence[Sample]) -> Sample:
    return Sample(*map(summary, zip(*samples, strict=True)))


def _line(task: str, worker: Worker, medians: dict[str, Sample], settings: dict[str, Any]) -> dict[str, Any]:
    """`ratio` compares the time of an example; `share` is of what the machine's matrix product could do in that time."""
    sample, rows = medians[worker.system.name], worker.system.members * settings["batch"]
    first, last = worker.answers[0], worker.answers[-1]
    return {
        "task": task,
        "system": worker.system.name,
        "members": worker.system.members,
        "seconds": sample.seconds,
        "examples_per_second": rows / sample.seconds,
        "ratio": sample.seconds / rows / (medians[BASELINE].seconds / settings["batch"]),
        "share": sample.operations / sample.seconds / sample.rate,
        "rate": sample.rate,
        "peak_mb": last["peak_mb"],
        "compiled": last.get("compiled"),
        "compile_seconds": last.get("compile_seconds"),
        "first_step_seconds": worker.loaded["seconds"] + first["seconds"],
        "first_loss": first["loss"],
        **settings,
        "versions": worker.loaded["versions"],
    }


def machine(root: Path) -> dict[str, Any]:
    """What ran this, and the commit of `root` (None where there is no repository, or no git)."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "commit": _commit(root),
    }


def _commit(root: Path) -> str | None:
    if shutil.which("git") is None:
        return None
    found = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True)
    return found.stdout.strip() or None


def speeds(found: Sequence[dict[str, Any]]) -> Table:
    """A section for each task, a line for each system."""
    table = _table("", "", "s/step", "examples/s", "ratio", "share")
    for before, line in zip([None, *found], found, strict=False):
        if before is not None and before["task"] != line["task"]:
            table.add_section()
        task = "" if before is not None and before["task"] == line["task"] else line["task"]
        numbers = (f"{line['seconds']:.3f}", f"{line['examples_per_second']:.1f}", f"{line['ratio']:.2f}", f"{line['share']:.0%}")
        table.add_row(task, line["system"], *numbers)
    return table


def costs(found: Sequence[dict[str, Any]]) -> Table:
    """What each system took over all tasks: memory, and the time before its first step was done."""
    table = _table("", "peak MB", "compiled", "in s", "first step s")
    for line in (line for line in found if line["task"] == MIX):
        none = line["compiled"] is None
        compiled = ("-", "-") if none else (str(line["compiled"]), f"{line['compile_seconds']:.1f}")
        table.add_row(line["system"], f"{line['peak_mb']:,.0f}", *compiled, f"{line['first_step_seconds']:.1f}")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    return table


def kept(found: Sequence[Mapping[str, Any]], append: Path | None, as_json: bool) -> bool:
    """Adds the lines to a file, if there is one, and prints them if they are wanted as JSON: whether they were."""
    text = "".join(json.dumps(line) + "\n" for line in found)
    if append:
        with open(append, "a") as file:
            file.write(text)
    if as_json:
        print(text, end="")
    return as_json
