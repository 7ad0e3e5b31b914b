"""How fast tasks and texts are prepared, and that memory does not grow with them.

    python -m benchmarks.preparation --rows 100000

Each task is prepared twice, with a tenth of the rows and with all of them, by a process of its own that starts with an empty
cache. The speed is that of the rows between the two, so that the start of Python and TensorFlow is not in it; the memory
is the largest resident set of the process, as the kernel counts it. A text for `ptune pretrain` is measured in the same way
with ten times as many rows, as its memory is that of a shard, which a small text does not fill.
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
READ_TEXT = """
import sys
from ptune_cli.data import text
from ptune_cli.data.vocabulary import Vocabulary
from pathlib import Path
text.read(sys.argv[1], Vocabulary(sys.argv[2]), Path(sys.argv[3]))
"""
ROWS_A_DOCUMENT = 20  # about 5 kB


class Run(NamedTuple):
    """One process: rows that it prepared, bytes of their text, seconds, and its largest resident set in MB."""

    rows: int
    size: int
    seconds: float
    megabytes: float


def rows(count: int) -> Iterator[tuple[str, str]]:
    """(text, label) of each row, no two texts alike, the same for every call."""
    draw = random.Random(0)
    for i in range(count):
        yield f"{i} " + " ".join(draw.choices(WORDS, k=WORDS_A_ROW)), LABELS[i % len(LABELS)]


# All write a row at a time: to the kernel, a process is at least as large as the one that started it was.


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


def write_text(folder: Path, count: int) -> Path:
    """The rows as documents of ROWS_A_DOCUMENT each."""
    file = folder / "text.txt"
    with open(file, "w") as lines:
        for i, (text, _) in enumerate(rows(count), 1):
            lines.write(text + ("\n" if i % ROWS_A_DOCUMENT == 0 or i == count else " "))
    return file


def seqio_command(file: Path, cache: Path) -> Sequence[str]:
    """The process that `ptune prepare` starts."""
    command = [sys.executable, "-m", "ptune_cli.data.prepare", "--vocabulary", str(VOCABULARY), "--cache", str(cache)]
    return [*command, "--data_dir", str(cache), "--split", "benchmarks.lines:lines", "train"]


def file_command(file: Path, cache: Path) -> Sequence[str]:
    """A process that does what `ptune train` does with a `file:` task before it trains."""
    return [sys.executable, "-c", PREPARE_FILE, str(file), str(VOCABULARY), str(cache)]


def text_command(file: Path, cache: Path) -> Sequence[str]:
    """A process that does what `ptune pretrain` does with a text before it trains."""
    return [sys.executable, "-c", READ_TEXT, str(file), str(VOCABULARY), str(cache)]


KINDS: dict[str, tuple[Callable[[Path, int], Path], Callable[[Path, Path], Sequence[str]]]] = {
    "seqio": (write_lines, seqio_command),
    "file:": (write_jsonl, file_command),
    "text": (write_text, text_command),
}
TIMES = {"text": 10}  # as many rows as of the others


def measure(kind: str, count: int) -> Run:
    """Prepares a task of `count` rows. RuntimeError with the end of what the process printed if it fails."""
    write, command = KINDS[kind]
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
        size = sum(part.stat().st_size for part in ([file] if file.is_file() else file.iterdir()))
    return Run(count, size, seconds, usage.ru_maxrss / 1024)  # Linux counts it in KiB


def check(cache: Path, count: int) -> None:
    """RuntimeError if the cache does not hold one split, or one text, of so many rows of about 50 tokens."""
    [manifest] = [json.loads(file.read_text()) for file in cache.glob("**/manifest.json")]
    found = manifest["examples"] if "examples" in manifest else manifest["documents"]
    expected = count if "examples" in manifest else -(-count // ROWS_A_DOCUMENT)
    tokens = (manifest["input_tokens"] if "examples" in manifest else manifest["tokens"]) / count
    if found != expected or not 40 <= tokens <= 70:
        raise RuntimeError(f"prepared {found} examples, expected {expected}; {tokens:.1f} tokens a row, expected about 50")


def main() -> None:
    """Prints a line for each kind of task, and one for text."""
    parser = argparse.ArgumentParser(description="How fast tasks and texts are prepared, and in how much memory.")
    parser.add_argument("--rows", type=int, default=100_000)
    most = parser.parse_args().rows
    print(f"{'':<6} {'rows':>9} {'seconds':>8} {'rows/s':>8} {'MB/s':>6} {'MB':>6}   MB of a tenth", flush=True)
    for kind in KINDS:
        count = most * TIMES.get(kind, 1)
        few, many = measure(kind, count // 10), measure(kind, count)
        seconds = many.seconds - few.seconds
        speed, text = (many.rows - few.rows) / seconds, (many.size - few.size) / seconds / 1e6
        print(
            f"{kind:<6} {many.rows:>9,} {many.seconds:>8.1f} {speed:>8,.0f} {text:>6.1f} {many.megabytes:>6.0f}"
            f"   {few.megabytes:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
