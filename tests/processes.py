"""Another process that runs a few lines with this repository importable, to be killed or to be looked at from outside."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path


def python(code, *arguments, **options):
    """Start `code` with `arguments` in sys.argv[1:]; text pipes, CPU only."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def free_port() -> int:
    """Of the loopback interface; found by another process, since the tests' own has no sockets."""
    code = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
    return int(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout)


def wait_for(holds: Callable[[], bool], seconds: float = 180) -> None:
    """Fails if it does not hold within this time."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.02)


# For `python`, with how, n and a ptune command line: at its n-th step the process kills itself ("kill"), has a bug ("raise"), or
# says that it is there and waits for a line ("hold").
STOPS = """
    import os, signal, sys
    from ptune_cli import cli
    from ptune_cli.training.progress import Reporter

    how, left = sys.argv[1], int(sys.argv[2])

    def count(reporter, *work, counted=Reporter.count):
        global left
        left -= 1
        if left == 0 and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if left == 0 and how == "raise":
            raise ValueError("a bug in one process")
        if left == 0 and how == "hold":
            print("held", flush=True)
            sys.stdin.readline()
        counted(reporter, *work)

    Reporter.count = count
    sys.exit(cli.main(sys.argv[3:]))
"""
