"""How fast tasks are prepared, and that memory does not grow with them.

    python -m benchmarks.preparation --rows 100000

Each task is prepared twice, with a tenth of the rows and with all of them, by a process of its own that starts with an empty
cache. The speed is that of the rows between the two, so that the start of Python and TensorFlow is not in it; the memory
is the largest resident set of the process, as the kernel counts it.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
VOCABULARY = ROOT / "ptune_cli" / "assets" / "tiny" / "spiece.model"
WORDS = "the bird swims in a pond and its young follow it through water grass reeds until night falls over hill or field".split()
WORDS_A_ROW = 45  # of which the embedded model's vocabulary makes about 50 tokens
LABELS = ("bird", "plant", "weather")
PREPARE_FILE = """
import sys
from ptune_cli.data import files
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.file_task import FileTask
from pathlib import Path
files.prepare(FileTask(sys.argv[1]), "train", Vocabulary(sys.argv[2]), Path(sys.argv[3]), lambda done, total: None)
"""


class Run(NamedTuple):
    """One process: rows that it prepared, seconds, and its largest resident set in MB."""

    rows: int
    seconds: float
    megabytes: float


def rows(count: int) -> Iterator[tuple[str, str]]:
    """(text, label) of each row, no two texts alike, the same for every call."""
    draw = random.Random(0)
    for i in range(count):
        yield f"{i} " + " ".join(draw.choices(WORDS, k=WORDS_A_ROW)), LABELS[i % len(LABELS)]


# Both write a row at a time: to the kernel, a process is at least as large as the one that started it was.


def write_lines(folder: Path, count: int) -> Path:
    """The rows as the file of the seqio task."""
    file = folder / "lines.tsv"
    with open(file, "w") as lines:
        lines.writelines(f"{text}\t{label}\n" for text, label in rows(count))
    return file


def write_jsonl(folder: Path, count: int) -> Path:
    """The rows as a `file:` task; a small validation file beside it keeps all of them in its training split."""
    for name, part in (("train", count), ("validation", 1)):
        with open(folder / f"{name}.jsonl", "w") as lines:
            lines.writelines(json.dumps({"inputs": text, "targets": label}) + "\n" for text, label in rows(part))
    return folder


def seqio_command(file: Path, cache: Path) -> Sequence[str]:
    """The process that `ptune prepare` starts."""
    command = [sys.executable, "-m", "ptune_cli.data.prepare", "--vocabulary", str(VOCABULARY), "--cache", str(cache)]
    return [*command, "--data_dir", str(cache), "--split", "benchmarks.lines:lines", "train"]


def file_command(file: Path, cache: Path) -> Sequence[str]:
    """A process that does what `ptune train` does with a `file:` task before it trains."""
    return [sys.executable, "-c", PREPARE_FILE, str(file), str(VOCABULARY), str(cache)]


TASKS: dict[str, tuple[Callable[[Path, int], Path], Callable[[Path, Path], Sequence[str]]]] = {
    "seqio": (write_lines, seqio_command),
    "file:": (write_jsonl, file_command),
}


def measure(kind: str, count: int) -> Run:
    """Prepares a task of `count` rows. RuntimeError with the end of what the process printed if it fails."""
    write, command = TASKS[kind]
    with tempfile.TemporaryDirectory() as name, open(f"{name}/log", "w+b") as log:
        folder = Path(name)
        file = write(folder, count)
        environment = {**os.environ, "LINES": str(file), "PYTHONPATH": str(ROOT)}
        began = time.monotonic()
        process = subprocess.Popen(command(file, folder / "cache"), env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(Path(log.name).read_text("utf-8", "replace")[-2000:])
        check(folder / "cache", count)
    return Run(count, seconds, usage.ru_maxrss / 1024)  # Linux counts it in KiB


def check(cache: Path, count: int) -> None:
    """RuntimeError if the cache does not hold one split of so many examples of about 50 tokens."""
    [manifest] = [json.loads(file.read_text()) for file in cache.glob("prepared/*/manifest.json")]
    found, tokens = manifest["examples"], manifest["input_tokens"] / manifest["examples"]
    if found != count or not 40 <= tokens <= 70:
        raise RuntimeError(f"prepared {found} examples of {tokens:.1f} tokens, expected {count} of about 50")


def main() -> None:
    """Prints a line for each kind of task."""
    parser = argparse.ArgumentParser(description="How fast tasks are prepared, and in how much memory.")
    parser.add_argument("--rows", type=int, default=100_000)
    most = parser.parse_args().rows
    print(f"{'task':<6} {'rows':>9} {'seconds':>8} {'rows/s':>8} {'MB':>6}   MB of {most // 10:,} rows", flush=True)
    for kind in TASKS:
        few, many = measure(kind, most // 10), measure(kind, most)
        speed = (many.rows - few.rows) / (many.seconds - few.seconds)
        print(
            f"{kind:<6} {many.rows:>9,} {many.seconds:>8.1f} {speed:>8,.0f} {many.megabytes:>6.0f}   {few.megabytes:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
