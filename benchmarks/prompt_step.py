"""How fast a prompt is tuned: ptune's own step beside a plain JAX one and Hugging Face PEFT's, on the same weights and rows.

    python -m benchmarks.prompt_step --tasks copa,rte --rounds 2

Every system is a process of its own, and only one of them computes at a time: in each round, on each task, they take one
step after another, so that a busy machine slows all of them. A step is of one task's batch and is over when everything is
computed. It is taken twice, and again if it had to compile; the last counts. Rows are random, as long as the SuperGLUE task's
(benchmarks/rows.py); weights are random, or those of a model that ships. There is no dropout. That all systems compute the
same is checked: the loss of their first step is compared.

Seconds are medians over the rounds; those of the mix are the mean of the tasks'. `ratio` is the time that an example takes,
of that of plain JAX with all inputs padded to 512 tokens. `share` is what the operations that the rows need
(benchmarks/required_operations.py) would take at the speed of a float32 matrix product, measured in the same rounds, of
the time that the step took.

All systems are in memory together, all but one with their weights and programs alone.
"""

import argparse
import functools
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import rows, step_results
from benchmarks.required_operations import of_step
from benchmarks.step_results import Sample, Samples
from benchmarks.systems import MATRIX_PRODUCT, ROOT, SKIPPED, Worker, systems
from ptune_cli import shipped
from ptune_cli.formats.huggingface_config import read_config

SAME = 0.02  # of the loss: bfloat16 rounds, and nothing else may differ


def measure(options: argparse.Namespace, folder: Path) -> tuple[Samples, list[Worker]]:
    """The steps of all systems, and their workers, which have ended. RuntimeError if one fails, or computes something else."""
    flags, needed = prepare(options, folder)
    asked = [MATRIX_PRODUCT, *systems(options.members, options.bf16, options.peft)]
    samples: Samples = {task: {system.name: [] for system in asked[1:]} for task in options.tasks}
    with ExitStack() as stack:
        product, *workers = [stack.enter_context(Worker(system, flags, folder)) for system in asked]
        for t, task in itertools.product(range(options.rounds), options.tasks):
            print(f"round {t + 1} of {options.rounds}: {task}", file=sys.stderr, flush=True)
            rate = product.step(task, t)["rate"]
            for worker in workers:
                sample = Sample(worker.step(task, t)["seconds"], needed(task, t, worker.system.members), rate)
                samples[task][worker.system.name].append(sample)
            check({worker.system.name: worker.answers[0]["loss"] for worker in workers})
    return samples, workers


def prepare(options: argparse.Namespace, folder: Path) -> tuple[list[str], Callable[[str, int, int], float]]:
    """Writes weights and rows to `folder`: the workers' flags, and the operations that (task, step, members) needs."""
    model, file = model_folder(options.size, folder / "model"), folder / "rows.npz"
    config = read_config(Path(model) / "config.json")
    count, prompt = options.rounds * options.batch, (options.prompt, config.emb_dim)
    rows.write(file, options.tasks, options.members, count, config.vocab_size, prompt)
    flags = ["--model", model, "--rows", str(file), "--batch", str(options.batch)]
    return flags, functools.partial(of_step, config, rows.Rows(file, options.batch))


def model_folder(size: str, folder: Path) -> str:
    """The folder of a model that ships, or random weights written to `folder`, by a process that takes its memory with it."""
    if size in shipped.names():
        return shipped.locate(size)
    subprocess.run([sys.executable, "-m", "benchmarks.random_model", size, str(folder)], cwd=ROOT, check=True)
    return str(folder)


def check(losses: dict[str, float]) -> None:
    """RuntimeError if the first losses, of one prompt on the same rows, differ by more than rounding."""
    if not max(losses.values()) - min(losses.values()) <= SAME * min(losses.values()):  # so that NaN is not the same
        raise RuntimeError(f"the systems do not compute the same: their first losses are {losses}")


def arguments() -> argparse.Namespace:
    """The command line."""
    sizes = [file.stem.removeprefix("t5_1_1_") for file in sorted((ROOT / "gin" / "models").glob("t5_1_1_*.gin"))]
    parser = argparse.ArgumentParser(description="How fast a prompt is tuned, beside a plain JAX step and Hugging Face PEFT's.")
    parser.add_argument(
        "--size", default="small", choices=[*sizes, *shipped.names()], metavar="SIZE", help="of T5 1.1, or a model that ships"
    )
    parser.add_argument("--tasks", default=list(rows.TASKS), type=task_names, help="some of " + ",".join(rows.TASKS))
    parser.add_argument("--batch", type=int, default=32, help="rows of a prompt at each step")
    parser.add_argument("--prompt", type=int, default=100, help="rows of a prompt")
    parser.add_argument("--members", type=int, default=5, help="prompts of the bank that is measured beside one prompt")
    parser.add_argument("--rounds", type=int, default=3, help="steps of each system on each task")
    parser.add_argument("--bf16", action="store_true", help="ptune in bfloat16 too")
    parser.add_argument(
        "--peft", type=interpreter, metavar="PYTHON", help="the interpreter of an environment with torch, transformers and peft"
    )
    parser.add_argument("--json", action="store_true", help="print lines of JSON, not tables")
    parser.add_argument("--append", type=Path, metavar="FILE", help="add the lines of JSON to a file")
    return parser.parse_args()


def task_names(text: str) -> list[str]:
    """The tasks of a list with commas."""
    names = text.split(",")
    if unknown := [name for name in names if name not in rows.TASKS]:
        raise argparse.ArgumentTypeError(f"no task '{unknown[0]}'; there are {', '.join(rows.TASKS)}")
    return names


def interpreter(name: str) -> str:
    """The path of a program. What it can import shows when its worker starts."""
    if (found := shutil.which(name)) is None:
        raise argparse.ArgumentTypeError(f"there is no program '{name}'")
    return found


def main() -> None:
    """Measures, and prints what was found."""
    options = arguments()
    if options.peft is None:
        print(SKIPPED, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as name:
        samples, workers = measure(options, Path(name))
    settings: dict[str, Any] = {key: getattr(options, key) for key in ("size", "batch", "prompt", "rounds")}
    found = step_results.lines(samples, workers, settings | step_results.machine(ROOT))
    if step_results.kept(found, options.append, options.json):
        return
    console = Console()
    console.print(step_results.speeds(found))
    console.print(step_results.costs(found))


if __name__ == "__main__":
    main()
