"""Prepared splits: what is read is what was written, what is damaged is named, and two processes do not clash."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ptune_cli.data import prepare, prepared
from ptune_cli.data.batches import Batches
from ptune_cli.data.examples import Source
from ptune_cli.data.limits import limits
from ptune_cli.data.partial import MAX_LABELS, Example
from ptune_cli.data.preparation import ensure
from ptune_cli.data.prepared import FILES, Prepared, find
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.data.writer import locked, write
from ptune_cli.errors import UserError

TINY = Path(__file__).parent / "data" / "tiny.spiece.model"
FACTS = {
    "task": "toy",
    "split": "train",
    "fingerprint": "f",
    "vocabulary_sha256": "v",
    "metrics": ["accuracy"],
    "postprocess": "label",
    "headline": ["accuracy"],
}
EXAMPLES = [
    Example([5, 6, 7], [8], {"inputs": "a b c", "targets": "yes", "idx": 0}),
    Example([], [9, 10], {"inputs": "", "targets": "no", "answers": ["é", "line\nbreak"]}),
    Example([11], [8], {"inputs": "d", "targets": "yes", "idx": {"paragraph": 1, "question": 2}}),
]

BIRDS = '''
"""A user's own tasks. The vocabulary is nowhere, as T5's own is for those who cannot reach Google Cloud."""
import dataclasses, functools, os
import seqio
import tensorflow as tf

print("a task's module may print")
FILE = os.path.join(os.path.dirname(__file__), "birds.tsv")

def read(split, shuffle_files):
    return tf.data.TextLineDataset(FILE if split == "train" else "absent.tsv")

@seqio.map_over_dataset(num_seeds=1)
def parse(line, seed):
    text, label = tf.unstack(tf.strings.split(line, "\\t"), num=2)
    return {"inputs": text, "targets": label, "answers": tf.stack([label, text]), "ragged": tf.ragged.stack([[1], [2, 3]]),
            "idx": {"paragraph": 3, "question": 4}, "weight": 0.5, "draw": tf.random.stateless_uniform([], seed)}

@seqio.map_over_dataset
def fail(example):
    raise RuntimeError("the first reason\\nand a second line")

features = {k: seqio.Feature(seqio.SentencePieceVocabulary("gs://nowhere/spiece.model", 100)) for k in ("inputs", "targets")}
source = seqio.FunctionDataSource(read, splits=("train", "validation"))
tokens = (seqio.preprocessors.tokenize, seqio.preprocessors.append_eos)
add = functools.partial(seqio.TaskRegistry.add, source=source, output_features=features)
add("birds", preprocessors=(parse, *tokens))
add("birds_without_texts", preprocessors=(parse, functools.partial(seqio.preprocessors.tokenize, copy_pretokenized=False)))
add("birds_that_fail", preprocessors=(parse, fail, *tokens))
add("birds_without_tokens", preprocessors=(parse,), output_features={})
add("birds_that_are_few", preprocessors=(parse, lambda data: data.filter(lambda example: False), *tokens))
unended = {"inputs": features["inputs"], "targets": dataclasses.replace(features["targets"], add_eos=False)}

@seqio.map_over_dataset
def stop(example):
    is_dog = tf.cast(example["targets_pretokenized"] == "dog", tf.int32)
    return example | {"targets": tf.concat([example["targets"], tf.ones([is_dog], tf.int32)], axis=0)}

add("birds_that_go_on", preprocessors=(parse, *tokens, stop), output_features=unended)
seqio.MixtureRegistry.add("all_birds", ["birds"], default_rate=1.0)
'''
ROWS = [("a bird that swims", "duck"), ("a bird that dabbles in ponds", "duck"), ("not a bird: café 東京", "dog")]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(TINY)


def written(folder: Path, examples=EXAMPLES, **facts) -> Path:
    with locked(folder):
        write(folder, [examples], {**FACTS, **facts})
    return folder


# --- the format


def test_what_is_read_is_what_was_written(tmp_path):
    split = Prepared.open(written(tmp_path / "split"))
    assert len(split) == 3
    for i, example in enumerate(EXAMPLES):
        np.testing.assert_array_equal(split.inputs(i), np.array(example.inputs, np.int32), strict=True)
        np.testing.assert_array_equal(split.targets(i), np.array(example.targets, np.int32), strict=True)
        assert split.row(i) == example.row
    assert split.input_lengths.tolist() == [3, 0, 1]
    assert split.target_lengths.tolist() == [1, 2, 1]
    counts = {"examples": 3, "max_input": 3, "max_target": 2, "input_tokens": 4, "target_tokens": 4}
    assert counts.items() <= split.manifest.items()
    assert FACTS.items() <= split.manifest.items()
    assert (split.labels, split.metrics, split.headline) == (("no", "yes"), ("accuracy",), ("accuracy",))


def test_arrays_are_read_only_maps_of_the_files(tmp_path):
    inputs = Prepared.open(written(tmp_path / "split")).inputs(0)
    assert type(inputs) is np.ndarray
    with pytest.raises(ValueError, match="read-only"):
        inputs[0] = 1


def test_a_split_without_any_input_token_can_be_read(tmp_path):
    split = Prepared.open(written(tmp_path / "split", [Example([], [4], {"inputs": "", "targets": "x"})]))
    assert split.inputs(0).tolist() == []
    assert split.manifest["max_input"] == 0


@pytest.mark.parametrize("i", [-1, 3])
def test_an_example_that_is_not_there_is_an_index_error(tmp_path, i):
    split = Prepared.open(written(tmp_path / "split"))
    for read in (split.inputs, split.targets, split.row):
        with pytest.raises(IndexError, match=f"example {i} of 3"):
            read(i)


def test_labels_are_the_tasks_own_or_the_target_texts_if_few(tmp_path):
    assert Prepared.open(written(tmp_path / "a", labels=["yes", "no", "maybe"])).labels == ("yes", "no", "maybe")
    assert Prepared.open(written(tmp_path / "b", labels=None)).labels is None
    many = [Example([3], [3], {"inputs": "", "targets": f"{i:02}"}) for i in range(MAX_LABELS + 1)]
    assert Prepared.open(written(tmp_path / "c", many)).labels is None
    assert len(Prepared.open(written(tmp_path / "d", many[:-1])).labels) == MAX_LABELS


def test_memory_does_not_grow_with_the_number_of_examples(tmp_path):
    def peak(count: int) -> int:
        tracemalloc.start()
        written(tmp_path / str(count), (Example(range(3, 53), [4], {"inputs": "x" * 200, "targets": "y"}) for _ in range(count)))
        traced = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return traced

    # 9,000 more examples are 1.8 MB of tokens and 2 MB of texts; buffers and hashing take the same for both counts.
    assert peak(10_000) - peak(1_000) < 100_000


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, name, damage):
    folder = written(tmp_path / "split")
    content = bytearray((folder / name).read_bytes())
    if damage == "missing":
        (folder / name).unlink()
    elif damage == "truncated":
        (folder / name).write_bytes(content[:-3])
    else:
        content[-8] ^= 1
        (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{folder / name} is (corrupt|missing).*; delete {folder} and run again"):
        Prepared.open(folder)


def test_a_manifest_that_was_edited_is_refused(tmp_path):
    folder = written(tmp_path / "split")
    manifest = json.loads((folder / "manifest.json").read_text())
    for edit, message in (
        ({"labels": ["no"]}, "is corrupt"),
        ({"format": "ptune-prepared-0"}, "another version of ptune wrote it"),
    ):
        (folder / "manifest.json").write_text(json.dumps(manifest | edit))
        with pytest.raises(UserError, match=f"manifest.json .*{message}"):
            Prepared.open(folder)


# --- the disk


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    program = """
        import resource, sys
        from ptune_cli.data.partial import Example
        from ptune_cli.data.writer import locked, write
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # a file that cannot grow: what a full disk looks like
        example = Example([3] * 50, [4], {"inputs": "", "targets": ""})
        with locked(__import__("pathlib").Path(sys.argv[1])):
            write(__import__("pathlib").Path(sys.argv[1]), [(example for _ in range(10_000))], {"task": "toy", "split": "train"})
    """
    done = run(program, tmp_path / "split")
    assert f"UserError: cannot write {tmp_path / 'split'}: File too large; free some space" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["split.lock"]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, vocabulary, monkeypatch):
    (tmp_path / "file").write_text("")
    user_module(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="cannot write in the cache folder .*file/prepared: Not a directory; set PTUNE_CACHE"):
        ensure([("birds:birds", "train")], vocabulary, tmp_path / "file")
    with pytest.raises(UserError, match="cannot write .*file/split: "), locked(tmp_path / "file" / "split"):
        pass


def test_killed_half_way_nothing_looks_complete_and_a_rerun_cleans_up(tmp_path):
    folder = tmp_path / "split"
    program = """
        import pathlib, sys, time
        from ptune_cli.data.partial import Example
        from ptune_cli.data.writer import locked, write
        def endless():
            yield Example([3] * 50_000, [4], {"inputs": "", "targets": ""})  # more than one buffer: it is on disk
            print("begun", flush=True)
            time.sleep(600)
        with locked(pathlib.Path(sys.argv[1])):
            write(pathlib.Path(sys.argv[1]), [endless()], {})
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / "split.partial" / "inputs.npy").stat().st_size > 0
    assert not folder.exists()
    with pytest.raises(UserError, match="manifest.json is missing"):
        Prepared.open(tmp_path / "split.partial")
    assert len(Prepared.open(written(folder))) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["split", "split.lock"]


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("PTUNE_CACHE", str(tmp_path))
    assert prepared.default_cache() == tmp_path
    monkeypatch.delenv("PTUNE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert prepared.default_cache() == tmp_path / "home" / ".cache" / "ptune"


# --- preparation: one race of two real processes, on which the tests below look


def run(program: str, *arguments, cwd: Path | None = None, wait: bool = True):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if not wait:
        return process
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def user_module(folder: Path, monkeypatch=None) -> None:
    (folder / "birds.py").write_text(BIRDS)
    (folder / "birds.tsv").write_text("".join(f"{text}\t{label}\n" for text, label in ROWS))
    if monkeypatch:
        monkeypatch.chdir(folder)


ENSURE = """
    import sys
    from ptune_cli.data.preparation import ensure
    from ptune_cli.data.vocabulary import Vocabulary
    splits = ensure([("birds:birds", "train"), ("gloss_topic", "validation")], Vocabulary(sys.argv[1]), sys.argv[2])
    print(*(split.manifest["examples"] for split in splits))
    print(*sorted({"tensorflow", "seqio", "jax"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def race(tmp_path_factory):
    """Two processes that ask for the same two splits at once, in a folder with a user's module."""
    folder = tmp_path_factory.mktemp("race")
    user_module(folder)
    processes = [run(ENSURE, TINY, folder / "cache", cwd=folder, wait=False) for _ in range(2)]
    outputs = [(*process.communicate(), process.returncode) for process in processes]
    return folder, outputs


def entry(folder: Path, pattern: str) -> Prepared:
    [found] = [path for path in (folder / "cache" / "prepared").glob(pattern) if path.is_dir()]
    return Prepared.open(found)


def test_two_processes_at_once_make_each_split_once(race):
    folder, outputs = race
    rows = len((Path(__file__).parents[1] / "tasks" / "data" / "gloss_topic" / "validation.tsv").read_text().splitlines()) - 1
    assert [(stdout, code) for stdout, _, code in outputs] == [(f"3 {rows}\n\n", 0)] * 2, outputs[0][1] + outputs[1][1]
    names = [path.name for path in (folder / "cache" / "prepared").iterdir()]
    assert len([name for name in names if not name.endswith(".lock")]) == 2, names
    # The second to hold the lock found the split made: it showed no progress.
    assert sorted("3/3" in stderr for _, stderr, _ in outputs) == [False, True]


def test_tokens_are_the_vocabularys_without_end_of_sequence(race, vocabulary):
    split = entry(race[0], "birds-birds-train-*")
    for i, (text, label) in enumerate(ROWS):
        assert split.inputs(i).tolist() == vocabulary.encode(text)
        assert split.targets(i).tolist() == vocabulary.encode(label)
    assert split.labels == ("dog", "duck")
    assert split.manifest["vocabulary_sha256"] == vocabulary.sha256
    assert set(split.manifest["versions"]) == {"ptune", "seqio", "tensorflow", "tensorflow_datasets", "tensorflow_text"}


def test_rows_hold_the_texts_and_all_other_fields(race):
    split = entry(race[0], "birds-birds-train-*")
    row = split.row(2)
    assert isinstance(row.pop("draw"), float)
    text, label = ROWS[2]
    idx = {"paragraph": 3, "question": 4}
    assert row == {"inputs": text, "targets": label, "answers": [label, text], "ragged": [[1], [2, 3]], "idx": idx, "weight": 0.5}


def test_the_tasks_of_the_catalog_are_prepared_from_their_own_files(race, vocabulary):
    split = entry(race[0], "gloss_topic-validation-*")
    lines = (Path(__file__).parents[1] / "tasks" / "data" / "gloss_topic" / "validation.tsv").read_text("utf-8").splitlines()
    for i in (0, len(split) - 1):
        identifier, text, label = lines[i + 1].split("\t")
        assert split.row(i) == {"id": identifier, "inputs": f"gloss: {text}", "targets": label}
        assert label in split.labels
        assert split.inputs(i).tolist() == vocabulary.encode(f"gloss: {text}")


def test_what_is_prepared_is_found_without_a_process(race, vocabulary, monkeypatch):
    monkeypatch.chdir(race[0])
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    [split] = ensure([("birds:birds", "train")], vocabulary, race[0] / "cache")
    assert split.folder == find("birds:birds", "train", vocabulary, race[0] / "cache")
    assert len(split) == 3


def test_reading_a_prepared_split_imports_neither_tensorflow_nor_seqio_nor_jax(tmp_path):
    program = """
        import sys
        from ptune_cli.data.preparation import ensure
        from ptune_cli.data.prepared import Prepared
        split = Prepared.open(sys.argv[1])
        split.inputs(0), split.targets(0), split.row(0)
        print(*sorted({"tensorflow", "tensorflow_datasets", "seqio", "jax", "rich", "sklearn"} & set(sys.modules)))
    """
    done = run(program, written(tmp_path / "split"))
    assert (done.stdout, done.stderr) == ("\n", "")


def test_a_task_that_fails_is_one_line_and_the_rest_is_in_a_file(tmp_path, vocabulary, monkeypatch):
    user_module(tmp_path, monkeypatch)
    seen = []
    with pytest.raises(UserError) as caught:
        ensure([("birds:birds_that_fail", "train")], vocabulary, tmp_path, lambda *event: seen.append(event))
    message, _, log = str(caught.value).partition("; the whole output is in ")
    assert message == "task 'birds:birds_that_fail', split 'train' failed: RuntimeError: the first reason"
    assert "and a second line" in Path(log).read_text()
    assert seen == [("birds:birds_that_fail", "train", 0, None)]
    assert sorted(path.suffix for path in (tmp_path / "prepared").iterdir()) == [".lock", ".log"]


def test_without_seqio_the_error_says_what_to_install(tmp_path, vocabulary, monkeypatch):
    user_module(tmp_path, monkeypatch)
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "seqio.py").write_text("raise ImportError('not on this machine')")
    monkeypatch.syspath_prepend(tmp_path / "first")
    with pytest.raises(UserError, match=r"needs seqio: not on this machine; pip install 'ptune\[tasks\]'"):
        ensure([("birds:birds", "train")], vocabulary, tmp_path)
    assert sorted(path.suffix for path in (tmp_path / "prepared").iterdir()) == [".lock"]


def test_a_process_that_dies_without_a_word_is_named_with_its_exit_code(tmp_path, vocabulary, monkeypatch):
    user_module(tmp_path, monkeypatch)
    (tmp_path / "python").write_text("#!/bin/sh\necho out of luck >&2\nkill -9 $$\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(
        UserError, match="preparing birds:birds train ended with exit code -9: out of luck; the whole output is in"
    ):
        ensure([("birds:birds", "train")], vocabulary, tmp_path)


# --- what a task can do wrong, in this process: TensorFlow takes seconds to start


@pytest.fixture
def make(tmp_path, monkeypatch, vocabulary):
    user_module(tmp_path, monkeypatch)
    monkeypatch.syspath_prepend(tmp_path)
    seqio = pytest.importorskip("seqio")
    yield lambda task, split: prepare.prepare(task, split, vocabulary, tmp_path / "cache")
    for name in [name for name in seqio.TaskRegistry.names() if name.startswith("birds")]:
        seqio.TaskRegistry.remove(name)
    seqio.MixtureRegistry.remove("all_birds")
    sys.modules.pop("birds", None)


@pytest.mark.parametrize(
    ("task", "split", "message"),
    [
        ("bird", "train", "registers no seqio task 'bird'; did you mean 'birds'?"),
        ("all_birds", "train", "'all_birds' is a seqio mixture, expected a task; name its tasks"),
        ("birds", "trian", "no split 'trian'; did you mean 'train'? (have: train, validation)"),
        ("birds", "validation", "split 'validation' failed: NotFoundError: "),
        ("birds_without_tokens", "train", "'inputs' is |S17 of rank 0; expected token ids of rank 1"),
        ("birds_that_are_few", "train", "split 'train' has no example"),
    ],
)
def test_a_mistake_in_a_users_task_is_one_line(make, task, split, message):
    with pytest.raises(UserError) as caught:
        make(f"birds:{task}", split)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_that_keeps_no_texts_gets_them_from_its_tokens(make, vocabulary):
    split = Prepared.open(make("birds:birds_without_texts", "train"))
    assert [split.row(i)["inputs"] for i in range(3)] == [vocabulary.decode(split.inputs(i)) for i in range(3)]
    assert split.labels == ("dog", "duck")


def test_targets_that_go_on_are_not_ended(make, vocabulary):
    """A prefix LM's target ends in end of sequence where the text does, and nowhere else: preparing and batching keep that."""
    split = Prepared.open(make("birds:birds_that_go_on", "train"))
    ended = [split.row(i)["targets"] == "dog" for i in range(3)]
    assert not split.targets_end and sorted(ended) == [False, False, True]
    lengths, _ = limits({("birds", "train"): split}, 64, None, False)
    batches = Batches([Source(split, 0, lambda ids: ids, split.targets_end)], 1, lengths)
    for step in range(3):
        [[i]], [batch] = batches.indices(step), batches(step)
        expected = [*vocabulary.encode(split.row(i)["targets"]), *([vocabulary.eos_id] if ended[i] else [])]
        assert batch.targets[0].tolist() == expected + [0] * (lengths.targets - len(expected))


def test_preparing_twice_gives_the_same_files(make, race):
    again = Prepared.open(make("birds:birds", "train"))
    assert again.manifest["sha256"] == entry(race[0], "birds-birds-train-*").manifest["sha256"]
    assert len({again.row(i)["draw"] for i in range(3)}) == 3  # and the task did draw random numbers
