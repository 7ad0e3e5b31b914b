"""The systems that `benchmarks/prompt_step.py` compares, each a process of its own that takes a step when it is told to."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
# No program from an earlier run, no accelerator, no question to a server; anything else is as the user has it.
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "false", "HF_HUB_OFFLINE": "1"}
BASELINE = "plain JAX to 512"
SKIPPED = """PEFT is skipped. To measure it too, make an environment for it and name its Python:
  python3 -m venv build/peft && build/peft/bin/pip install torch transformers peft
  --peft build/peft/bin/python (make bench PEFT=build/peft/bin/python)"""


class System(NamedTuple):
    """One line of the table: its name, its worker with the flags that only it has, the prompts that a step trains."""

    name: str
    module: str
    flags: Sequence[str] = ()
    members: int = 1
    python: str = sys.executable


MATRIX_PRODUCT = System("matrix product", "matrix_product")


def systems(members: int, bf16: bool, peft: str | None) -> list[System]:
    """All that are asked for, ptune first."""
    half = ("--dtype", "bfloat16")
    found = [System("ptune", "ours")]
    if members > 1:
        found.append(System(f"ptune, {members} prompts", "ours", ("--members", str(members)), members))
    if bf16:
        found.append(System("ptune bfloat16", "ours", half))
    found.append(System(BASELINE, "plain_step", ("--pad", "512")))
    found.append(System("plain JAX to longest", "plain_step", ("--pad", "longest")))
    if peft is not None:
        found += [System("PEFT", "peft_step", python=peft), System("PEFT bfloat16", "peft_step", half, python=peft)]
    return found


class Worker:
    """A running system. What it measures, it measures itself: nothing here takes time but waiting for its answers."""

    def __init__(self, system: System, common: Sequence[str], folder: Path):
        self.system, self.answers = system, []
        self._log = folder / f"{system.name}.log"
        began = ("--began", str(time.monotonic()))  # one clock for all processes
        command = [system.python, "-m", f"benchmarks.{system.module}", *began, *common, *system.flags]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | ENVIRONMENT,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.loaded = self._answer()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def step(self, task: str, t: int) -> dict[str, Any]:
        """The answer to a warm step: it is taken again until nothing was compiled in it, and at least twice."""
        while True:
            with suppress(BrokenPipeError):  # of a process that is no more; why shows below
                print(task, t, file=self._process.stdin, flush=True)
            self.answers.append(self._answer())
            if self.answers[-1]["warm"]:
                return self.answers[-1]

    def _answer(self) -> dict[str, Any]:
        """RuntimeError with the end of what the process said if it is no more."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            ended, said = self._process.wait(), self._log.read_text("utf-8", "replace")[-2000:]
            raise RuntimeError(f"{self.system.name} ended with {ended} (-9: no memory left; try a smaller --batch)\n{said}")
        return json.loads(line)
