"""The worker's side of a benchmark of steps: a line `TASK STEP` in is one step, answered by one line of JSON.

It needs the standard library alone, so that an environment without ptune can run it too. Nothing else is written to the
standard output: what libraries print there goes to the standard error.
"""

import argparse
import ctypes
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Protocol

Step = Callable[[str, int], dict[str, Any]]  # (task, step) -> what else the answer says; returns when all is computed


class Compiled(Protocol):
    """Programs compiled so far, and the seconds that took."""

    count: int
    seconds: float


def arguments() -> argparse.ArgumentParser:
    """The flags that the benchmark gives to every worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--began", type=float, required=True, help="the monotonic clock when the process was started")
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--rows", required=True, help="the file that benchmarks/rows.py wrote")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--dtype", default="float32")
    return parser


def serve(
    load: Callable[[argparse.Namespace], Step],
    options: argparse.Namespace,
    packages: Sequence[str],
    compiled: Compiled | None = None,
) -> None:
    """Load, say so, and take steps until the standard input ends.

    A step is `warm` if nothing was compiled in it and it follows another step; after a warm one memory goes back to the
    kernel, so that many systems have room beside each other, and the next step, which has to ask for it again, is not warm.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    step, counts = load(options), [0]

    def answer(began: float, **more: Any) -> None:
        seconds = time.monotonic() - began
        if compiled is not None:
            more |= {"compiled": compiled.count, "compile_seconds": compiled.seconds}
            counts.append(compiled.count)
        print(json.dumps({"seconds": seconds, "peak_mb": peak_mb(), **more}), file=answers, flush=True)

    answer(options.began, versions={name: version(name) for name in packages})
    cold = True
    for line in sys.stdin:
        task, t = line.split()
        began = time.monotonic()
        more = step(task, int(t))
        warm = not cold and (compiled is None or compiled.count == counts[-1])
        answer(began, warm=warm, **more)
        cold = warm
        if warm:
            ctypes.CDLL(None).malloc_trim(0)  # of glibc: what is freed and not yet the kernel's


def peak_mb() -> float:
    """The largest resident set of this process so far, as the kernel counts it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts it in KiB
