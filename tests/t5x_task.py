"""A seqio task of bare token ids, for the vocabulary of the small T5X checkpoints. T5X's programs import this."""

# ruff: noqa: TID253 - see above

import numpy as np
import seqio
import tensorflow as tf
from t5x_rows import SIZES, rows


def vocabulary() -> seqio.Vocabulary:
    return seqio.PassThroughVocabulary(128, eos_id=1)


def read(split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
    ids = tf.TensorSpec([None], tf.int32)
    return tf.data.Dataset.from_generator(lambda: rows(split), output_signature={"inputs": ids, "targets": ids})


def exact(targets, predictions) -> dict[str, float]:
    return {"exact": 100 * float(np.mean([list(a) == list(b) for a, b in zip(targets, predictions, strict=True)]))}


feature = seqio.Feature(vocabulary(), add_eos=True, dtype=tf.int32)
seqio.TaskRegistry.add(
    "t5x_rows",
    source=seqio.FunctionDataSource(read, splits=tuple(SIZES), num_input_examples=SIZES),
    preprocessors=[seqio.preprocessors.append_eos],
    output_features={"inputs": feature, "targets": feature},
    metric_fns=[exact],
)
