"""A command of ptune as a process of its own: its arguments, its environment, and what it says of itself beforehand."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from ptune_cli.errors import RunFailure, UserError


def argv(command: Sequence[str], *flags: str, python: str = sys.executable) -> tuple[str, ...]:
    """`command` ("train", "--gin", ...) for this Python or another. `flags` come first: nothing follows a command's `--`."""
    return (python, "-P", "-m", "ptune_cli.cli", command[0], *flags, *command[1:])


def environment() -> dict[str, str]:
    """This process's, with its import path."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}


def explained(command: Sequence[str]) -> dict[str, Any]:
    """{"steps": 200, "optimizer": "Adafactor()", ...}: all that a command line sets, as its own `--explain` says.

    UserError, in that command's words, if it would refuse its arguments. Nothing of it is imported here: what starts processes,
    and waits for them for days, stays small.
    """
    done = subprocess.run(argv(command, "--explain", "--json=true"), env=environment(), capture_output=True, text=True)
    said = done.stderr.strip().rpartition("\n")[2].removeprefix("ptune: error: ")
    if done.returncode == 2:
        raise UserError(said)
    if done.returncode:
        raise RunFailure(f"ptune {command[0]} --explain ended with exit code {done.returncode}: {said}")
    try:
        return {row["name"]: row["value"] for row in json.loads(done.stdout)["values"]}
    except ValueError:
        raise UserError(f"ptune {' '.join(command)} only prints something", "give a command that runs") from None
