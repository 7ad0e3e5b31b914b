"""`python -m ptune_cli.data.prepare`: runs seqio tasks into prepared splits.

Of ptune's modules, only this one uses TensorFlow, and the one that reads TensorFlow's checkpoints. It runs as a process of
its own (see `preparation.ensure`) and writes one JSON object a line to standard output:
{"task", "split", "done", "total"} while it works, and {"error", "see_log"} if it cannot go on.
"""

import argparse
import contextlib
import dataclasses
import difflib
import importlib
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ptune_cli
from ptune_cli.data import vocabularies
from ptune_cli.data.elements import elements
from ptune_cli.data.features import example
from ptune_cli.data.fingerprint import check_split, fingerprint, resolve
from ptune_cli.data.partial import Example
from ptune_cli.data.prepared import find
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.data.writer import locked, write
from ptune_cli.errors import UserError, nearest

SEED = 0
BYTES_A_SHARD = 64 * 2**20

Report = Callable[[int, int | None], None]


class TaskFailed(UserError):
    """The task's own code, seqio or TFDS raised something. Its traceback says more than one line can."""


def main(argv: Sequence[str] | None = None) -> int:
    """Prepares every `--split TASK SPLIT` that is not in the cache yet. Exit code 2: the user's mistake, told in an event."""
    parser = argparse.ArgumentParser(
        prog="python -m ptune_cli.data.prepare", description="Runs seqio tasks into prepared splits."
    )
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--split", nargs=2, action="append", required=True, metavar=("TASK", "SPLIT"))
    options = parser.parse_args(argv)
    # seqio imports TensorFlow and JAX; the GPU or TPU belongs to the program that trains.
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    os.environ["TFDS_DATA_DIR"] = str(options.data_dir)  # where seqio lets TFDS look and download
    emit = _take_standard_output()
    try:
        vocabulary = vocabularies.load(options.vocabulary)
        for task, split in options.split:

            def report(done: int, total: int | None, task: str = task, split: str = split) -> None:
                emit({"task": task, "split": split, "done": done, "total": total})

            prepare(task, split, vocabulary, options.cache, report)
    except UserError as error:
        traceback.print_exc()
        emit({"error": str(error), "see_log": isinstance(error, TaskFailed)})
        return 2
    return 0


def prepare(task: str, split: str, vocabulary: Vocabulary, cache_dir: Path, report: Report = lambda done, total: None) -> Path:
    """Runs one split of one task into the cache, unless it is there already, and returns its folder.

    Raises:
        UserError: no such task or split, the disk is full or not writable; TaskFailed: the task itself failed.
    """
    folder = find(task, split, vocabulary, cache_dir)
    entry = resolve(task, split)
    with locked(folder):
        if folder.exists():  # another process made it while this one waited
            return folder
        report(0, None)
        with _blaming(task, split):
            provider = _build(task, entry.module, vocabulary)
            _download(provider.source, cache_dir)
            check_split(task, split, tuple(provider.splits))
            total = provider.num_input_examples(split)
            shards = _shards(provider, task, split, vocabulary)
        facts = {
            "task": task,
            "split": split,
            "fingerprint": fingerprint(task, split, vocabulary),
            "vocabulary_sha256": vocabulary.sha256,
            "postprocess": entry.postprocess,
            "metrics": entry.metrics,
            "headline": entry.headline,
            "targets_end": _targets_end(provider),
            "versions": _versions(),
        }
        if ":" not in task:
            facts["labels"] = entry.labels
        done = write(folder, shards, facts, lambda done: report(done, total))
        report(done, done)
    return folder


def _build(task: str, module: str, vocabulary: Vocabulary) -> Any:
    """The seqio task: the catalog's, or a registered one of the user's with the base model's vocabulary put in."""
    seqio = _import_seqio()
    imported = importlib.import_module(module)
    if ":" not in task:
        return imported.task(task, str(vocabulary.path))
    name = task.partition(":")[2]
    if name in seqio.MixtureRegistry.names():
        raise UserError(f"'{name}' is a seqio mixture, expected a task", "name its tasks, one by one")
    if name not in seqio.TaskRegistry.names():
        close = difflib.get_close_matches(name, list(seqio.TaskRegistry.names()), n=10, cutoff=0)
        raise UserError(f"importing {module} registers no seqio task '{name}'; {nearest(name, close)}")
    provider = seqio.TaskRegistry.get(name)
    ours = importlib.import_module("tasks.vocabulary").vocabulary(str(vocabulary.path))
    features = {
        key: feature
        if isinstance(feature.vocabulary, seqio.PassThroughVocabulary)
        else dataclasses.replace(feature, vocabulary=ours)
        for key, feature in provider.output_features.items()
    }
    return provider.replace(output_features=features)


def _targets_end(provider: Any) -> bool:
    """Whether all targets end in end of sequence."""
    feature = provider.output_features.get("targets")
    return feature is None or feature.add_eos


def _download(source: Any, cache_dir: Path) -> None:
    """Has TFDS download and prepare its dataset. seqio would, but only after it was asked for sizes that it cannot know yet.

    Locked, since two processes that prepare one dataset end with TFDS unable to rename its folder.
    """
    dataset = getattr(source, "tfds_dataset", None)
    if dataset is None:
        return
    import tensorflow_datasets as tfds

    with locked(cache_dir / "tfds" / re.sub(r"[^\w.-]+", "-", dataset.name)):
        dataset.builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))


def _import_seqio() -> Any:
    try:
        import seqio
    except ImportError as error:
        hint = "pip install 'ptune[tasks]', or prepare on a machine that has it and copy its cache folder"
        raise UserError(f"preparing a task needs seqio: {error}", hint) from error
    return seqio


def _shards(provider: Any, task: str, split: str, vocabulary: Vocabulary) -> list[Iterator[Example]]:
    """The examples of a split, in as many parts as a process that dies should not have to do twice.

    Preprocessors see one part at a time, as where seqio shares a task out among hosts.
    """
    import seqio

    count = _shard_count(provider.source, split)
    infos = [seqio.ShardInfo(index, count) if count > 1 else None for index in range(count)]
    return [_examples(provider, task, split, vocabulary, info) for info in infos]


def _shard_count(source: Any, split: str) -> int:
    """As many shards as the files of the source make, with BYTES_A_SHARD or more in each; 1 if they are no files."""
    import tensorflow as tf

    files = source.list_shards(split)
    try:
        size = sum(tf.io.gfile.stat(file).length for file in files) if len(files) > 1 else 0
    except tf.errors.OpError:  # names of something else
        return 1
    return max(min(len(files), size // BYTES_A_SHARD), 1)


def _examples(provider: Any, task: str, split: str, vocabulary: Vocabulary, shard: Any) -> Iterator[Example]:
    """The examples of a `seqio.ShardInfo`, or of the whole split, in the order of the source."""
    import tensorflow as tf

    # seqio draws the seeds of preprocessors from it: the same fingerprint and shard, the same content.
    tf.random.set_seed(SEED + (shard.index if shard else 0))
    end = _targets_end(provider)
    with _blaming(task, split):
        order = {"use_cached": False, "shuffle": False, "try_in_mem_cache": False}
        for features in elements(provider.get_dataset(None, split, shard_info=shard, **order)):
            yield example(features, vocabulary, end)


@contextlib.contextmanager
def _blaming(task: str, split: str) -> Iterator[None]:
    """Whatever the task raises is the task's failure: one line with its reason."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise TaskFailed(f"task '{task}', split '{split}' failed: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """One line of an error. Where a preprocessor fails, TensorFlow puts its stack first and the error itself behind that."""
    kind = type(error).__name__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith(f"{kind}: ")), f"{kind}: {lines[0]}" if lines else kind)
    return reason[:300]


def _versions() -> dict[str, str]:
    names = ("seqio", "tensorflow", "tensorflow_datasets", "tensorflow_text")
    return {"ptune": ptune_cli.__version__, **{n: sys.modules[n].__version__ for n in names if n in sys.modules}}


def _take_standard_output() -> Callable[[dict], None]:
    """Keeps standard output for events: whatever a task prints goes to standard error from here on."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return lambda event: print(json.dumps(event), file=channel, flush=True)


if __name__ == "__main__":
    sys.exit(main())
