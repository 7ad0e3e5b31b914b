"""Elements fetched in batches are the ones that TensorFlow hands over one at a time, whatever they are made of."""

import json

import numpy as np
import pytest

from ptune_cli.data.elements import BATCH, elements
from ptune_cli.data.features import plain

COUNT = 2 * BATCH + 3


def structures(tf) -> dict:
    """{what it is: a function of the row's number} that makes one field."""

    def words(i, count):
        return tf.strings.join([tf.repeat("é", count), tf.strings.as_string(tf.range(count) + i)])

    def lists(i):
        return tf.RaggedTensor.from_row_lengths(tf.range(tf.reduce_sum(tf.range(i % 4))), tf.range(i % 4))

    return {
        "a text": lambda i: tf.strings.as_string(i),
        "a text that is not UTF-8": lambda i: tf.constant(b"\xff\xfe"),
        "whole numbers": lambda i: tf.cast(i, tf.uint8),
        "a fraction": lambda i: tf.cast(i, tf.float32) / 3,
        "a half": lambda i: tf.cast(i, tf.float16) / 3,
        "yes or no": lambda i: i % 2 == 0,
        "tokens": lambda i: tf.range(i % 7),
        "texts": lambda i: words(i, i % 3),
        "as many in each row": lambda i: tf.fill([2, 3], i),
        "none in any row": lambda i: tf.zeros([0], tf.string),
        "pairs": lambda i: tf.reshape(tf.range(2 * (i % 3)), [-1, 2]),
        "a table of any size": lambda i: tf.reshape(tf.range(6 * (i % 2)), [tf.where(i % 3 == 0, 2, 3), -1]),
        "a ragged list": lists,
        "ragged texts": lambda i: tf.RaggedTensor.from_row_lengths(words(i, i % 3), [i % 3, 0]),
        "lists of ragged lists": lambda i: tf.RaggedTensor.from_row_lengths(lists(i), [i % 4]),
        "ragged pairs": lambda i: tf.RaggedTensor.from_row_lengths(tf.ones([i % 3, 2]), [0, i % 3]),
        "ragged rows of one size": lambda i: tf.RaggedTensor.from_uniform_row_length(tf.range(2 * (i % 3)), 2),
        "ragged with short splits": lambda i: tf.RaggedTensor.from_row_splits(tf.range(2), tf.constant([0, 0, 2])),
        "a dict": lambda i: {"deep": {"number": i, "texts": words(i, i % 3)}, "ragged": lists(i)},
        "an empty dict": lambda i: {},
        "nothing": lambda i: None,
        "of an unknown size": lambda i: tf.ensure_shape(tf.range(i % 5), [None]),
        "of an unknown rank": lambda i: tf.py_function(lambda n: tf.ones([2] * int(n % 3)), [i], tf.float32),
    }


def as_lines(rows) -> list[str]:
    return [json.dumps(plain(row), ensure_ascii=False) for row in rows]


def test_every_structure_comes_apart_as_it_went_in():
    tf = pytest.importorskip("tensorflow")
    for name, field in structures(tf).items():
        dataset = tf.data.Dataset.range(COUNT, output_type=tf.int32).map(lambda i, field=field: {"field": field(i), "i": i})
        one_at_a_time = as_lines(dataset.as_numpy_iterator())
        assert as_lines(elements(dataset)) == one_at_a_time, name
        assert len(one_at_a_time) == COUNT


def test_tokens_stay_arrays_of_their_own_type():
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.range(COUNT).map(lambda i: {"tokens": tf.range(tf.cast(i, tf.int32) % 5)})
    for i, row in enumerate(elements(dataset)):
        np.testing.assert_array_equal(row["tokens"], np.arange(i % 5, dtype=np.int32), strict=True)


def test_a_dataset_without_elements_gives_none():
    tf = pytest.importorskip("tensorflow")
    assert list(elements(tf.data.Dataset.range(0).map(lambda i: {"i": i}))) == []
