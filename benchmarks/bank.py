"""What it saves to train prompts together: one bank of them beside as many runs, one after another.

    python -m benchmarks.bank --steps 30

Prompts are seeds of the demo, on the embedded model and its task unless others are given. Every run is a process of its own;
its memory is its largest resident set, as the kernel counts it. Both ways start with data that is prepared and with no compiled
program on disk, and keep those that ptune keeps, so later runs of the five read some of what the first one compiled. What is
read from disk is not counted.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# A ptune command that writes to the file argv[1] how many programs XLA compiled for it.
COUNTED = """
import sys
from benchmarks.compilations import Compilations
from ptune_cli import cli

compiled = Compilations()
code = cli.main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(compiled.count))
sys.exit(code)
"""


class Cost(NamedTuple):
    """Of one process, or of several that follow one another: seconds, programs compiled, largest resident set in MB."""

    seconds: float
    compiled: int
    megabytes: float


def ptune(folder: Path, name: str, flags: Sequence[str]) -> Cost:
    """One command, `ptune train` say, with the cache `folder`/cache. RuntimeError with the end of what it printed if it fails."""
    command = [name, "--gin", "runs/demo.gin", *flags]
    environment = {**os.environ, "PTUNE_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    with open(folder / "log", "w+b") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", COUNTED, str(folder / "compiled"), *command], env=environment, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError((folder / "log").read_text("utf-8", "replace")[-2000:])
    return Cost(seconds, int((folder / "compiled").read_text()), usage.ru_maxrss / 1024)  # Linux counts it in KiB


def measure(flags: Sequence[str], runs: Sequence[Sequence[int]]) -> Cost:
    """Runs with these seeds each, one after another: sums, and the largest of the processes."""
    with tempfile.TemporaryDirectory() as name:
        folder, costs = Path(name), []
        ptune(folder, "plan", [*flags, "--no-measure"])  # prepares the data
        shutil.rmtree(folder / "cache" / "xla", ignore_errors=True)
        for i, seeds in enumerate(runs):
            costs.append(ptune(folder, "train", [*flags, "--output", f"{folder}/{i}", "--seeds", ",".join(map(str, seeds))]))
    seconds, compiled, megabytes = zip(*costs, strict=True)
    return Cost(sum(seconds), sum(compiled), max(megabytes))


def main() -> None:
    """Prints a line for each way, and what together is of apart."""
    parser = argparse.ArgumentParser(description="What it saves to train prompts together.")
    parser.add_argument("--prompts", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--task", default="gloss_topic")
    parser.add_argument("--model", default="tiny")
    options = parser.parse_args()
    seeds, steps = range(options.prompts), str(options.steps)
    flags = ["--tasks", options.task, "--model.checkpoint", options.model, "--model.vocabulary", "none"]
    flags += ["--steps", steps, "--every.evaluate", steps]
    print(f"{'':<12} {'seconds':>8} {'compiled':>9} {'MB':>6}", flush=True)
    together = measure(flags, [seeds])
    print(f"{'together':<12} {together.seconds:>8.1f} {together.compiled:>9} {together.megabytes:>6.0f}", flush=True)
    apart = measure(flags, [[seed] for seed in seeds])
    print(f"{f'{len(seeds)} runs':<12} {apart.seconds:>8.1f} {apart.compiled:>9} {apart.megabytes:>6.0f}", flush=True)
    ratios = [a / b for a, b in zip(together, apart, strict=True)]
    print(f"{'ratio':<12} {ratios[0]:>8.2f} {ratios[1]:>9.2f} {ratios[2]:>6.2f}", flush=True)


if __name__ == "__main__":
    main()
