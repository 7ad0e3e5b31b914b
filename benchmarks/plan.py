"""How near `ptune plan` comes to what `ptune train` takes: seconds of a step and of an evaluation, and memory.

    python -m benchmarks.plan --size tiny
    python -m benchmarks.plan --size small --steps 16

The demo's recipe on a part of its task, on a model that ships or on a T5 1.1 of random weights. Plan and run are processes
of their own, in turn, with one cache: what the first plan compiled the others find. A run's seconds are the medians of the steps
that were logged, and of the evaluations but the first: programs of rare shapes are read when they are first met. Memory is the
most that a process held, or its accelerator. XLA's account leaves out what every process with JAX has, so it stands beside what
the run held more than that. All are medians over the rounds.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.prompt_step import model_folder
from ptune_cli import shipped

ROOT = Path(__file__).parents[1]
TASK = ROOT / "tasks" / "data" / "gloss_topic"
ROWS = {"train": 1000, "validation": 96}
LOGGED = 10  # lines of metrics
WHAT = ("seconds a step", "seconds an evaluation", "MiB at most", "MiB, XLA's account")
# A ptune command that writes to the file argv[1] what it held, and the seconds of its evaluations.
WATCHED = """
import json, sys, time
import jax
from ptune_cli import cli
from ptune_cli.training.best import Best
from ptune_cli.training.rehearsal import peak_bytes

seconds = []

def evaluate(*given, evaluated=Best.__call__):
    began = time.perf_counter()
    found = evaluated(*given)
    seconds.append(time.perf_counter() - began)
    return found

Best.__call__ = evaluate
jax.jit(lambda x: x + 1)(0.0)
bare = peak_bytes()
code = cli.main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump({"bare": bare, "peak": peak_bytes(), "evaluations": seconds}, file)
sys.exit(code)
"""


def write_task(folder: Path) -> None:
    """The first rows of the demo's task as a task of files."""
    for split, count in ROWS.items():
        lines = (TASK / f"{split}.tsv").read_text().splitlines()[1 : 1 + count]
        rows = [dict(zip(("inputs", "targets"), line.split("\t")[-2:], strict=True)) for line in lines]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def ptune(folder: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    """What a command printed, and what it took. RuntimeError with the end of what it said if it fails."""
    environment = {**os.environ, "PTUNE_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WATCHED, str(folder / "taken.json"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout, json.loads((folder / "taken.json").read_text())


def run_flags(size: str, steps: int, more: Sequence[str], folder: Path) -> list[str]:
    """What plan and run are given. Writes task and model to `folder`."""
    write_task(folder)
    flags = ["--gin", "runs/demo.gin", "--tasks", f"file:{folder}", "--test_split", "validation"]
    flags += ["--model.checkpoint", model_folder(size, folder / "model"), "--steps", str(steps)]
    flags += ["--model.vocabulary", str(shipped.ASSETS / "tiny" / "spiece.model")]
    return [*flags, "--every.evaluate", str(-(-steps // 4)), "--every.log", str(-(-steps // LOGGED)), *more]


def measure(flags: Sequence[str], folder: Path) -> list[tuple[float, float]]:
    """Of each of WHAT, as it was planned and as it was."""
    plan = json.loads(ptune(folder, "plan", *flags, "--json")[0])
    shutil.rmtree(folder / "run", ignore_errors=True)
    _, taken = ptune(folder, "train", *flags, "--output", str(folder / "run"))
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    logged = [(line["step"], line["seconds"]) for line in lines if "seconds" in line]
    steps = [seconds / (step - before) for (before, _), (step, seconds) in itertools.pairwise(logged)]
    planned = plan["measured"]
    return [
        (planned["step_seconds"], statistics.median(steps)),
        (planned["evaluation_seconds"], statistics.median(taken["evaluations"][1:])),
        (planned["peak_bytes"] / 2**20, taken["peak"] / 2**20),
        (plan["step_bytes"] / 2**20, (taken["peak"] - taken["bare"]) / 2**20),
    ]


def main() -> None:
    """Prints a line for each, and its ratio."""
    parser = argparse.ArgumentParser(description="How near a plan comes to the run. Further flags are the run's.")
    parser.add_argument("--size", default="tiny", help="a model that ships, or a size of T5 1.1")
    parser.add_argument("--steps", type=int, default=40, help="at least 5: evaluations come at each quarter")
    parser.add_argument("--rounds", type=int, default=3)
    options, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name:
        flags = run_flags(options.size, options.steps, more, Path(name))
        found = [measure(flags, Path(name)) for _ in range(options.rounds)]
    print(f"{'':<22} {'planned':>9} {'measured':>9} {'ratio':>6}")
    for i, what in enumerate(WHAT):
        planned, measured = (statistics.median(each[i][k] for each in found) for k in (0, 1))
        print(f"{what:<22} {planned:>9.4g} {measured:>9.4g} {planned / measured:>6.2f}")


if __name__ == "__main__":
    main()
