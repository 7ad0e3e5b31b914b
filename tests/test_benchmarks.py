"""The benchmarks run; preparation takes no more memory for ten times the rows, and a bank compiles less than runs apart."""

import json
import subprocess
import sys
from pathlib import Path

import model_folder
import pytest

ROOT = Path(__file__).parents[1]
# MB. A writer that kept every example would take 35 more for the 18,000 rows between the two (measured); runs differ by 5.
BOUND = 15


def lines(*arguments: object) -> list[list[str]]:
    """What a benchmark prints below its heading, in words."""
    done = subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()[1:]]


def test_memory_does_not_grow_with_the_task():
    """Whole processes: a seqio task through TensorFlow, and a file of the user's own."""
    pytest.importorskip("seqio")
    found = lines("benchmarks.preparation", "--rows", "20000")
    assert [line[0] for line in found] == ["seqio", "file:", "text"]
    for kind, *_, many, few in found[:2]:  # a text takes what a shard of it takes: tests/test_text.py
        assert int(many) - int(few) < BOUND, kind


def test_a_bank_is_told_beside_as_many_runs_and_compiles_less(tmp_path):
    model = model_folder.write(tmp_path / "model")
    words = {"dog": "wolf", "plant": "tree"}
    for split, count in (("train", 16), ("validation", 4), ("test", 4)):
        rows = [{"inputs": f"{words[label]} {i}", "targets": label} for i in range(count // 2) for label in words]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--prompts", 2, "--steps", 2, "--task", f"file:{tmp_path}", "--model", model)
    together, apart, ratio = lines("benchmarks.bank", *options)
    assert (together[0], apart[:2], ratio[0]) == ("together", ["2", "runs"], "ratio")
    numbers = [[float(number) for number in line[-3:]] for line in (together, apart, ratio)]
    assert all(number > 0 for number in numbers[0] + numbers[1])
    assert numbers[2] == [pytest.approx(a / b, abs=0.02) for a, b in zip(*numbers[:2], strict=True)]
    assert int(together[2]) < int(apart[3])
