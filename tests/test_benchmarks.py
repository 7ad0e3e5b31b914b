"""The benchmarks run, and preparation takes no more memory for a task of ten times the rows."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# MB. A writer that kept every example would take 35 more for the 18,000 rows between the two (measured); runs differ by 5.
BOUND = 15


def test_memory_does_not_grow_with_the_task():
    """Whole processes: a seqio task through TensorFlow, and a file of the user's own."""
    pytest.importorskip("seqio")
    command = [sys.executable, "-m", "benchmarks.preparation", "--rows", "20000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [line[0] for line in lines] == ["seqio", "file:", "text"]
    for kind, *_, many, few in lines[:2]:  # a text takes what a shard of it takes: tests/test_text.py
        assert int(many) - int(few) < BOUND, kind
