"""A split of several files is prepared file by file: what was finished when the process died is not read again."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from ptune_cli.data.partial import PROGRESS, Example
from ptune_cli.data.prepared import FILES, Prepared
from ptune_cli.data.writer import locked, write
from ptune_cli.errors import UserError

TINY = Path(__file__).parent / "data" / "tiny.spiece.model"
FACTS = {"task": "toy", "split": "train", "fingerprint": "f", "vocabulary_sha256": "v", "metrics": ["accuracy"]}
FACTS |= {"postprocess": "label", "headline": ["accuracy"]}
SHARDS, LINES = 4, 400

TASK = '''
"""Four files of lines. Every line that is read is noted in the file $READ; at $STOP_AT, the process kills itself."""
import os, signal
from pathlib import Path
import seqio
import tensorflow as tf

def note(line):
    with open(os.environ["READ"], "ab") as read:
        read.write(line.numpy() + b"\\n")
    if line.numpy().decode() == os.environ.get("STOP_AT"):
        os.kill(os.getpid(), signal.SIGKILL)
    return line

@seqio.map_over_dataset(num_seeds=1, num_parallel_calls=1)
def parse(line, seed):
    line = tf.ensure_shape(tf.py_function(note, [line], tf.string), [])
    draw = tf.random.stateless_uniform([], seed)
    return {"inputs": line, "targets": tf.strings.substr(line, 0, 6), "draw": draw}

feature = seqio.Feature(seqio.SentencePieceVocabulary("the base model's own takes its place", 100))
seqio.TaskRegistry.add(
    "lines",
    source=seqio.TextLineDataSource({"train": str(Path(__file__).parent / "part-*")}),
    preprocessors=[parse, seqio.preprocessors.tokenize, seqio.preprocessors.append_eos],
    output_features={"inputs": feature, "targets": feature},
)
'''

PREPARE = """
    import sys
    from ptune_cli.data import prepare
    prepare.BYTES_A_SHARD = 1  # the files are small
    arguments = ["--vocabulary", sys.argv[1], "--cache", sys.argv[2], "--data_dir", sys.argv[2]]
    sys.exit(prepare.main([*arguments, "--split", "lines_in_files:lines", "train"]))
"""


def line(shard: int, i: int) -> str:
    return f"file {shard} line {i}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A user's module and its data."""
    folder = tmp_path_factory.mktemp("lines")
    (folder / "lines_in_files.py").write_text(TASK)
    for shard in range(SHARDS):
        (folder / f"part-{shard}").write_text("".join(f"{line(shard, i)}\n" for i in range(LINES)))
    return folder


def prepare(folder: Path, cache: str, read: str, **environment: str) -> tuple[int, list[dict], list[str]]:
    """Runs it to its end: exit code, events, and the lines that the task read."""
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    environment = {**os.environ, "PYTHONPATH": paths, "READ": str(folder / read), **environment}
    command = [sys.executable, "-c", textwrap.dedent(PREPARE), str(TINY), str(folder / cache)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    events = [json.loads(event) for event in done.stdout.splitlines()]
    return done.returncode, events, (folder / read).read_text().splitlines()


def entry(folder: Path, cache: str) -> Path:
    [found] = [path for path in (folder / cache / "prepared").iterdir() if path.is_dir()]
    return found


def test_killed_in_the_third_file_only_the_last_two_are_read_again(folder):
    code, _, read = prepare(folder, "whole", "read_whole")
    assert (code, len(read)) == (0, SHARDS * LINES)
    whole = Prepared.open(entry(folder, "whole"))
    assert [whole.row(i)["inputs"] for i in range(len(whole))] == [line(s, i) for s in range(SHARDS) for i in range(LINES)]
    assert len({whole.row(i)["draw"] for i in range(len(whole))}) == len(whole)

    code, _, read = prepare(folder, "killed", "read_first", STOP_AT=line(2, 300))
    assert code == -signal.SIGKILL and line(2, 300) in read
    assert entry(folder, "killed").suffix == ".partial"
    code, events, read = prepare(folder, "killed", "read_again")
    assert code == 0
    assert sorted(read) == sorted(line(s, i) for s in (2, 3) for i in range(LINES))
    assert [event["done"] for event in events] == [0, 2 * LINES, 1_000, 1_500, SHARDS * LINES]
    resumed = entry(folder, "killed")
    assert sorted(path.name for path in resumed.iterdir()) == sorted([*FILES, "manifest.json"])
    for file in resumed.iterdir():
        assert file.read_bytes() == (whole.folder / file.name).read_bytes(), file.name


# --- the writer


def example(i: int) -> Example:
    return Example([3] * (i % 5), [4, 5], {"inputs": "é" * i, "targets": f"{i % 3}"})


SIZES = (3, 0, 7, 2)
PARTS = [range(sum(SIZES[:i]), sum(SIZES[: i + 1])) for i in range(len(SIZES))]


def begin(folder: Path, failing: int, **facts) -> None:
    """Writes the shards before number `failing`, and half of that one."""

    def shard(number: int):
        for i in PARTS[number]:
            yield example(i)
        if number == failing:
            raise InterruptedError("stopped")

    with locked(folder), pytest.raises(UserError, match="stopped"):
        write(folder, [shard(number) for number in range(len(PARTS))], {**FACTS, **facts})


def finish(folder: Path, **facts) -> list[int]:
    """Writes all shards and returns the examples that were made for it."""
    made = []

    def shard(part: range):
        for i in part:
            made.append(i)
            yield example(i)

    with locked(folder):
        assert write(folder, [shard(part) for part in PARTS], {**FACTS, **facts}) == sum(SIZES)
    return made


@pytest.mark.parametrize("failing", range(len(SIZES)))
def test_a_split_taken_up_again_is_the_one_written_at_once(tmp_path, failing):
    assert finish(tmp_path / "whole") == list(range(sum(SIZES)))
    begin(tmp_path / "split", failing)
    assert (tmp_path / "split.partial").exists() == (failing > 0)
    assert finish(tmp_path / "split") == list(range(sum(SIZES[:failing]), sum(SIZES)))
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "split" / file.name).read_bytes() == file.read_bytes(), file.name
    opened = Prepared.open(tmp_path / "split")
    for i in range(sum(SIZES)):
        np.testing.assert_array_equal(opened.inputs(i), example(i).inputs)
        assert opened.row(i) == example(i).row


def test_shards_made_from_something_else_are_made_again(tmp_path):
    begin(tmp_path / "split", 2, versions={"tensorflow": "1"})
    assert len(finish(tmp_path / "split", versions={"tensorflow": "2"})) == sum(SIZES)


@pytest.mark.parametrize("name", ["rows.jsonl", "inputs.npy", PROGRESS])
def test_shards_that_lost_a_part_are_made_again(tmp_path, name):
    finish(tmp_path / "whole")
    begin(tmp_path / "split", 2)
    file = tmp_path / "split.partial" / name
    file.write_bytes(file.read_bytes()[:10])
    assert len(finish(tmp_path / "split")) == sum(SIZES)
    assert Prepared.open(tmp_path / "split").manifest == Prepared.open(tmp_path / "whole").manifest
