"""The demo tasks as seqio tasks: from tab-separated files that come with ptune to token ids.

Files: tasks/data/NAME/SPLIT.tsv with a header; the columns are id, one or more texts, label.
"""

# ruff: noqa: TID253 - nothing imports this module but preparation, in a process of its own, and `tasks.register`

from collections.abc import Callable, Mapping
from pathlib import Path

import seqio
import tensorflow as tf

from tasks import catalog
from tasks.formatting import preprocessor
from tasks.vocabulary import vocabulary

FOLDER = Path(__file__).parent


def task(name: str, vocabulary_path: str) -> seqio.Task:
    """The seqio task, not registered anywhere, with the vocabulary at a place of `tasks.vocabulary`.

    Its splits are those that the task has files of.
    """
    entry = catalog.lookup(name)
    files = {split: str(FOLDER / file) for split, file in entry.data_files.items()}
    feature = seqio.Feature(vocabulary(vocabulary_path), add_eos=True)
    return seqio.Task(
        name,
        source=seqio.TextLineDataSource(files, skip_header_lines=1, num_input_examples=_count(files)),
        preprocessors=[
            _parser(_columns(files)),
            preprocessor(entry.text),
            seqio.preprocessors.tokenize,
            seqio.preprocessors.append_eos,
        ],
        output_features={"inputs": feature, "targets": feature},
    )


def _columns(files: Mapping[str, str]) -> list[str]:
    with open(next(iter(files.values())), encoding="utf-8") as lines:
        return next(lines).rstrip("\n").split("\t")


def _parser(columns: list[str]) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """From lines to rows, {column: text}."""

    def parse(line: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(columns, tf.unstack(tf.strings.split(line, "\t"), num=len(columns)), strict=True))

    return lambda dataset: dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE)


def _count(files: Mapping[str, str]) -> dict[str, int]:
    """Rows of each file, which its header is not."""
    counts = {}
    for split, file in files.items():
        with open(file, "rb") as lines:
            counts[split] = sum(1 for _ in lines) - 1
    return counts
