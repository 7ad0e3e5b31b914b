"""A user's own seqio task over the file that $LINES names: a text, a tab and its label on each line."""

# ruff: noqa: TID253 - nothing imports this module but preparation, in a process of its own

import os

import seqio
import tensorflow as tf


@seqio.map_over_dataset
def parse(line: tf.Tensor) -> dict[str, tf.Tensor]:
    """The two fields of a line."""
    text, label = tf.unstack(tf.strings.split(line, "\t"), num=2)
    return {"inputs": text, "targets": label}


FEATURE = seqio.Feature(seqio.SentencePieceVocabulary("the base model's own takes its place", extra_ids=100))
seqio.TaskRegistry.add(
    "lines",
    source=seqio.TextLineDataSource({"train": os.environ["LINES"]}),
    preprocessors=[parse, seqio.preprocessors.tokenize, seqio.preprocessors.append_eos],
    output_features={"inputs": FEATURE, "targets": FEATURE},
)
