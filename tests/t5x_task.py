"""A seqio task of bare token ids, for the vocabulary of the small T5X checkpoints. T5X's programs import this."""

# ruff: noqa: TID253 - see above

import numpy as np
import seqio
import tensorflow as tf

TASK, VOCABULARY_SIZE, LENGTHS = "t5x_rows", 128, {"inputs": 12, "targets": 4}
SIZES = {"train": 12, "validation": 8}


def vocabulary() -> seqio.Vocabulary:
    return seqio.PassThroughVocabulary(VOCABULARY_SIZE, eos_id=1)


def rows(split: str) -> list[dict[str, np.ndarray]]:
    """Inputs of 2 to 11 tokens and targets of 1 to 3, without EOS."""
    draw = np.random.default_rng(len(split))
    return [
        {"inputs": draw.integers(3, 128, draw.integers(2, 12)), "targets": draw.integers(3, 128, draw.integers(1, 4))}
        for _ in range(SIZES[split])
    ]


def read(split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
    ids = tf.TensorSpec([None], tf.int32)
    return tf.data.Dataset.from_generator(lambda: rows(split), output_signature={"inputs": ids, "targets": ids})


def exact(targets, predictions) -> dict[str, float]:
    return {"exact": 100 * float(np.mean([list(a) == list(b) for a, b in zip(targets, predictions, strict=True)]))}


feature = seqio.Feature(vocabulary(), add_eos=True, dtype=tf.int32)
seqio.TaskRegistry.add(
    TASK,
    source=seqio.FunctionDataSource(read, splits=tuple(SIZES), num_input_examples=SIZES),
    preprocessors=[seqio.preprocessors.append_eos],
    output_features={"inputs": feature, "targets": feature},
    metric_fns=[exact],
)
