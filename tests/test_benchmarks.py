"""The benchmarks run, and preparation takes no more memory for a task of ten times the rows."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Of 18,000 more rows the Python objects alone are 24 MB (a text of 230 characters, 50 tokens, a dict); runs differ by 5 MB.
BOUND = 15


def test_memory_does_not_grow_with_the_task():
    """Whole processes: a seqio task through TensorFlow, and a file of the user's own."""
    pytest.importorskip("seqio")
    command = [sys.executable, "-m", "benchmarks.preparation", "--rows", "20000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [line[0] for line in lines] == ["seqio", "file:"]
    for kind, *_, many, few in lines:
        assert int(many) - int(few) < BOUND, kind
