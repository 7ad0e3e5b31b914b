"""How well the steps of prompt tuning use a GPU. It needs JAX, Flax, Optax, NumPy, safetensors and rich alone.

    python -m benchmarks.accelerator --output results.jsonl
    python -m benchmarks.accelerator --only mfu,xxl --sizes xl

    matmul     the rate of a bfloat16 matrix product, which everything else is compared with
    mfu        for each of --sizes a training step of 32 rows of 512 positions: its share of that rate, and where the rest goes
    members    one prompt on the small model beside five in one step
    xxl        a model as large as XXL, in microbatches of several sizes
    attention  ptune's own attention beside fused ones
    mix        rows as long as SuperGLUE's on the base model: padded all alike, and as ptune cuts them
    shapes     what microbatches of several shapes take, on the base and the small model

Weights are random, in bfloat16, as all activations are; the prompt is of 100 rows and in float32. Every part is a process of
its own: one that fails, or takes longer than its limit, leaves its error, and what it had measured, behind. Each line of JSON is
printed when it is there; tables come last. XLA's programs are kept between the parts, and beyond this run where
JAX_COMPILATION_CACHE_DIR names a folder.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from benchmarks import accelerator_tables, model_sizes
from benchmarks.step_results import machine

ROOT = Path(__file__).parents[1]
SAID = 800  # characters of what a part said last that its error keeps
# No program from an earlier run unless the user names a folder. What the card has but a little is one process's.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2"}
# Kernels launched one by one say which instruction each is of; those of a CUDA graph do not.
ONE_BY_ONE = "--xla_gpu_enable_command_buffer="

Line = dict[str, Any]


class Part(NamedTuple):
    """A process to run: the part with its flags, and the seconds it may take."""

    name: str
    flags: tuple[str, ...]
    limit: int


def parts(options: argparse.Namespace) -> list[Part]:
    """What is asked for, the most telling first."""
    quick = ("--quick",) if options.quick else ()
    rows = ("--rows", str(options.rows)) if options.rows else ()
    sized = [Part("mfu", ("--size", size, *rows, *quick), 200) for size in options.sizes]
    every = [
        Part("matmul", quick, 60),
        *sized,
        Part("members", quick, 150),
        Part("xxl", (*rows, *quick), 300),
        Part("attention", quick, 150),
        Part("mix", ("--size", "base", *quick), 240),
        *(Part("shapes", ("--size", size, *quick), 200) for size in ("base", "small")),
    ]
    return [part for part in every if part.name in options.only]


def run(part: Part, limit: float, folder: Path) -> Iterator[Line]:
    """The part's lines as it prints them; one with its error if it fails or is stopped at `limit` seconds."""
    began = time.monotonic()
    said, ended = yield from _process(part, limit, folder, one_by_one=part.name == "mfu")
    if ended and "Unknown flag" in said:  # of another XLA: without the flag, the time is known and the kernels' parts are not
        said, ended = yield from _process(part, limit, folder, one_by_one=False)
    seconds = time.monotonic() - began
    if ended:
        why = f"stopped after {limit:.0f} s" if ended < 0 and seconds >= limit else f"ended with {ended}"
        yield {"part": part.name, "flags": part.flags, "error": f"{why}: {said[-SAID:]}", "part_seconds": seconds}


def _process(part: Part, limit: float, folder: Path, one_by_one: bool) -> Generator[Line, None, tuple[str, int]]:
    """Yields the lines; returns what else the process said, and its exit code."""
    began, log = time.monotonic(), folder / f"{part.name}.log"
    command = [sys.executable, "-m", "benchmarks.accelerator_part", part.name, *part.flags]
    with (
        open(log, "wb") as said,
        subprocess.Popen(
            command, cwd=ROOT, env=_environment(folder, one_by_one), text=True, stdout=subprocess.PIPE, stderr=said
        ) as process,
    ):
        timer = threading.Timer(limit, process.kill)
        timer.daemon = True
        timer.start()
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line) | {"command_buffers": not one_by_one, "part_seconds": time.monotonic() - began}
        ended = process.wait()
        timer.cancel()
    return log.read_text("utf-8", "replace"), ended


def _environment(folder: Path, one_by_one: bool) -> dict[str, str]:
    found = ENVIRONMENT | {"JAX_COMPILATION_CACHE_DIR": str(folder / "xla")} | os.environ
    flags = [found.get("XLA_FLAGS", ""), ONE_BY_ONE if one_by_one else ""]
    paths = [str(ROOT), found.get("PYTHONPATH", "")]
    return found | {"XLA_FLAGS": " ".join(filter(None, flags)), "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def measured(options: argparse.Namespace, folder: Path) -> Iterator[Line]:
    """The lines of all parts; of those that the budget leaves no time for, that they were left out."""
    began = time.monotonic()
    for part in parts(options):
        left = options.budget - (time.monotonic() - began)
        print(f"{part.name} {' '.join(part.flags)}", file=sys.stderr, flush=True)
        if left > 0:
            yield from run(part, min(part.limit, left), folder)
        else:
            yield {"part": part.name, "flags": part.flags, "error": "left out: the budget is spent"}


def arguments() -> argparse.Namespace:
    """The command line."""
    names = ("matmul", "mfu", "members", "xxl", "attention", "mix", "shapes")
    parser = argparse.ArgumentParser(description="How well the steps of prompt tuning use a GPU.")
    parser.add_argument("--only", default=",".join(names), help="some of " + ",".join(names))
    parser.add_argument("--sizes", default="base,large,xl", help="of T5 1.1, for mfu")
    parser.add_argument("--rows", type=int, help="of a microbatch, for mfu and xxl, instead of what fits a card of 80 GB")
    parser.add_argument("--budget", type=float, default=3600.0, help="seconds that everything may take")
    parser.add_argument("--output", type=Path, metavar="FILE", help="add the lines of JSON to a file")
    parser.add_argument("--quick", action="store_true", help="a tiny network everywhere: only to see that it runs")
    options = parser.parse_args()
    options.only, options.sizes = options.only.split(","), options.sizes.split(",")
    for given, known in ((options.only, names), (options.sizes, model_sizes.NAMES)):
        if unknown := [name for name in given if name not in known]:
            parser.error(f"there is no '{unknown[0]}'; there are {', '.join(known)}")
    return options


def main() -> None:
    """Measures, and prints what was found."""
    options, found, about = arguments(), [], machine(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        for line in measured(options, Path(folder)):
            found.append(line | about)
            text = json.dumps(found[-1])
            print(text, flush=True)
            if options.output:
                with open(options.output, "a") as file:
                    file.write(text + "\n")
    console = Console(width=None if sys.stdout.isatty() else 130)
    for table in accelerator_tables.tables(found):
        console.print(table)


if __name__ == "__main__":
    main()
