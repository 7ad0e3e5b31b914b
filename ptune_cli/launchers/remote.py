"""The shell lines that install ptune on a TPU's machine, start a command there that outlives the connection, and look at it.

In the home folder: ptune/venv, and for each job ptune/NAME, where the command runs (log.txt is what it prints), with NAME.pid and
NAME.code (its exit code) beside it.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

HOME = "ptune"
MARK = "ptune-state:"
VANISHED = -1


def install(requirement: str) -> str:
    """uv brings the Python that ptune needs: a TPU's machine has an older one."""
    uv = "command -v uv >/dev/null || curl -LsSf https://astral.sh/uv/install.sh | sh"
    python = f"uv venv --quiet --allow-existing --python 3.12 {HOME}/venv"
    packages = f"uv pip install --quiet --python {HOME}/venv 'jax[tpu]' {shlex.quote(requirement)}"
    return f'export PATH="$HOME/.local/bin:$PATH"; {{ {uv}; }} && {python} && {packages}'


def start(name: str, command: Sequence[str], setup: Sequence[str] = (), environment: Sequence[str] = ()) -> str:
    """Start it unless it runs. Its shell waits for it when told to stop (SIGTERM), to write down its exit code."""
    line = shlex.join(["env", *environment, "../venv/bin/ptune", *command])
    script = f"trap : TERM; {{ {' && '.join((*setup, line))}; }} >>log.txt 2>&1; echo $? >../{name}.code"
    launch = (
        f"rm -f ../{name}.code; setsid nohup bash -c {shlex.quote(script)} </dev/null >/dev/null 2>&1 & echo $! >../{name}.pid"
    )
    return f"mkdir -p {HOME}/{name} && cd {HOME}/{name} && {{ {_alive(f'../{name}')} || {{ {launch}; }} }}"


def stop(name: str) -> str:
    """End what is left of it, at once: a process whose peer has ended abnormally has nothing to save."""
    return f"kill -KILL -- -$(cat {HOME}/{name}.pid) 2>/dev/null; rm -f {HOME}/{name}.pid {HOME}/{name}.code"


def state(name: str) -> str:
    """Print MARK with the exit code, "running" or "gone"."""
    code = f"cat {HOME}/{name}.code 2>/dev/null"
    return f'echo "{MARK}$({code} || {{ {_alive(f"{HOME}/{name}")} && echo running; }} || {code} || echo gone)"'


def look(name: str, position: int) -> str:
    """The same, and below it the log from a byte on."""
    return f"{state(name)}; tail -c +{position + 1} {HOME}/{name}/log.txt 2>/dev/null; true"


def _alive(path: str) -> str:
    return f'kill -0 "$(cat {path}.pid 2>/dev/null)" 2>/dev/null'


@dataclass(frozen=True)
class Seen:
    """What `look` printed."""

    code: int | None  # the exit code; None while the command runs; VANISHED if it did without one
    log: str

    @classmethod
    def read(cls, text: str) -> "Seen":
        """What stands before MARK is the connection's own talk."""
        state, _, log = text.partition(MARK)[2].partition("\n")
        if not state.strip():
            raise ValueError(f"no {MARK} in what the machine answered")
        known = {"running": None, "gone": VANISHED}
        return cls(known[state] if state in known else int(state), log)
