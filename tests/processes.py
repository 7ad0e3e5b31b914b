"""Another process that runs a few lines with this repository importable, to be killed or to be looked at from outside."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path


def python(code, *arguments, **options):
    """Start `code` with `arguments` in sys.argv[1:]; text pipes, CPU only."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
