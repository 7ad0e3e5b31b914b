"""Pre-training and LM adaptation as seqio tasks, for T5X: over C4, or over text files with one document a line.

    python -m t5x.train ... --gin.MIXTURE_OR_TASK_NAME="'c4_v220_prefix_lm'"

Documents are cut into windows, all of them used, whose corrupted form fills the sequence lengths. The mathematics is
`tasks.objectives`'s. `text_task(...)` is for a module of your own: register what it gives in `seqio.TaskRegistry`.
"""

# ruff: noqa: TID253 - nothing imports this module but preparation, in a process of its own, and `tasks.register`

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import seqio
import tensorflow as tf

from tasks.objectives import Pair, corrupt, hidden_and_spans, split_prefix, window
from tasks.vocabulary import sentinels, vocabulary

Lengths = Mapping[str, int]
LENGTHS = {"inputs": 512, "targets": 114}  # T5's own, where the caller gives none


@dataclass(frozen=True, kw_only=True)
class SpanCorruption:
    """T5's objective (Raffel et al. 2020, 3.1.4): 15% hidden, in spans of 3 on average, each behind a sentinel of its own."""

    density: float = 0.15
    mean_span: float = 3.0
    joined: int = 128
    """How many documents are laid end to end before windows are cut, as T5 does, so that short ones leave no padding."""
    stops: ClassVar = True
    """Whether every target ends in end of sequence; if not, only the one that ends a document does."""

    def window(self, lengths: Lengths, most_spans: int) -> int:
        """How many tokens an example is made of. ValueError if its target does not fit, or sentinels run out."""
        size = window(lengths["inputs"], self.density, self.mean_span)
        hidden, spans = hidden_and_spans(size, self.density, self.mean_span)
        if hidden + spans + 1 > lengths["targets"]:
            raise ValueError(f"inputs of {lengths['inputs']} have targets of {hidden + spans + 1}, over {lengths['targets']}")
        if spans > most_spans:
            raise ValueError(f"inputs of {lengths['inputs']} have {spans} hidden spans, but there are {most_spans} sentinels")
        return size

    def __call__(self, ids: np.ndarray, sentinel: Callable[[int], int], lengths: Lengths, rng: np.random.Generator) -> Pair:
        return corrupt(ids, sentinel, rng, self.density, self.mean_span)


@dataclass(frozen=True, kw_only=True)
class PrefixLM:
    """LM adaptation (Lester et al. 2021, 2.2): the beginning of a text, and its continuation. No window crosses documents."""

    joined: ClassVar = 1
    stops: ClassVar = False

    def window(self, lengths: Lengths, most_spans: int) -> int:
        """How many tokens an example is made of; the input has an end of sequence of its own."""
        return lengths["inputs"] - 1 + lengths["targets"]

    def __call__(self, ids: np.ndarray, sentinel: Callable[[int], int], lengths: Lengths, rng: np.random.Generator) -> Pair:
        return split_prefix(ids, lengths["inputs"], lengths["targets"], rng)


Objective = SpanCorruption | PrefixLM
C4 = {"c4_v220_span_corruption": SpanCorruption(), "c4_v220_prefix_lm": PrefixLM()}


def task(name: str, vocabulary_path: str) -> seqio.Task:
    """One of the tasks over C4, not registered anywhere, under the name that the t5 library has for it."""
    return _task(name, seqio.TfdsDataSource("c4/en:2.2.0"), lambda row: row["text"], C4[name], vocabulary_path)


def text_task(name: str, files: Mapping[str, str], objective: Objective, vocabulary_path: str) -> seqio.Task:
    """The same over {split: text file, one document a line}."""
    return _task(name, seqio.TextLineDataSource(dict(files)), lambda line: line, objective, vocabulary_path)


def _task(name: str, source: seqio.DataSource, text: Callable, objective: Objective, vocabulary_path: str) -> seqio.Task:
    feature = functools.partial(seqio.Feature, vocabulary(vocabulary_path))
    return seqio.Task(
        name,
        source=source,
        preprocessors=[
            lambda dataset: dataset.map(lambda row: {"targets": text(row)}, num_parallel_calls=tf.data.AUTOTUNE),
            functools.partial(seqio.preprocessors.tokenize, copy_pretokenized=False),
            seqio.CacheDatasetPlaceholder(),
            functools.partial(_windows, objective=objective),
            functools.partial(_pairs, objective=objective),
            seqio.preprocessors.append_eos,
        ],
        output_features={"inputs": feature(add_eos=True), "targets": feature(add_eos=objective.stops)},
    )


def _windows(dataset: tf.data.Dataset, sequence_length: Lengths | None, output_features: Mapping, objective: Objective):
    """Documents, joined or not, cut into windows of ids; one of a single token, which shows or hides nothing, is left out."""
    own = output_features["targets"].vocabulary
    size = objective.window(_lengths(sequence_length), sentinels(own))
    end = tf.constant([] if objective.stops else [own.eos_id], tf.int32)
    documents = dataset.filter(lambda row: tf.size(row["targets"]) > 0)  # not a blank line
    ids = documents.map(lambda row: tf.concat([row["targets"], end], axis=0))
    if objective.joined > 1:
        ids = ids.ragged_batch(objective.joined).map(lambda batch: batch.flat_values)
    return ids.flat_map(functools.partial(_cut, size=size)).filter(lambda part: tf.size(part) > 1)


def _cut(ids: tf.Tensor, size: int) -> tf.data.Dataset:
    starts = tf.data.Dataset.range(0, tf.size(ids, tf.int64), size)
    return starts.map(lambda start: ids[start : start + size])


def _pairs(dataset: tf.data.Dataset, sequence_length: Lengths | None, output_features: Mapping, objective: Objective):
    """Each window as inputs and targets, at random by a seed that seqio deals out."""
    last = output_features["targets"].vocabulary.vocab_size - 1

    def numpy_pair(ids: np.ndarray, seed: np.ndarray) -> Pair:
        return objective(ids, lambda i: last - i, _lengths(sequence_length), np.random.default_rng(seed.astype(np.uint32)))

    def pair(ids: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs, targets = tf.numpy_function(numpy_pair, [ids, seed], (tf.int32, tf.int32))
        return {"inputs": tf.ensure_shape(inputs, [None]), "targets": tf.ensure_shape(targets, [None])}

    seeded: Callable = seqio.map_over_dataset(pair, num_seeds=1)
    return seeded(dataset)


def _lengths(sequence_length: Lengths | None) -> Lengths:
    return LENGTHS | {name: length for name, length in (sequence_length or {}).items() if length}
