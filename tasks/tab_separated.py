"""gloss_topic: which subject a dictionary definition belongs to. Small enough to come with ptune.

Files: tasks/data/gloss_topic/{train,validation,test}.tsv with a header and the columns id, text, label.
Text: "gloss: {text}" -> the label.
"""

# ruff: noqa: TID253 - nothing imports this module but preparation, in a process of its own

from pathlib import Path

import seqio
import tensorflow as tf

DATA = Path(__file__).parent / "data"
SPLITS = ("train", "validation", "test")


def task(name: str, vocabulary_path: str) -> seqio.Task:
    """The seqio task, not registered anywhere, with the vocabulary at `vocabulary_path` and T5's 100 sentinels."""
    files = {split: str(DATA / name / f"{split}.tsv") for split in SPLITS}
    feature = seqio.Feature(seqio.SentencePieceVocabulary(vocabulary_path, extra_ids=100), add_eos=True)
    return seqio.Task(
        name,
        source=seqio.TextLineDataSource(files, skip_header_lines=1, num_input_examples=_count(files)),
        preprocessors=[_parse, seqio.preprocessors.tokenize, seqio.preprocessors.append_eos],
        output_features={"inputs": feature, "targets": feature},
    )


@seqio.map_over_dataset
def _parse(line: tf.Tensor) -> dict[str, tf.Tensor]:
    identifier, text, label = tf.unstack(tf.strings.split(line, "\t"), num=3)
    return {"id": identifier, "inputs": "gloss: " + text, "targets": label}


def _count(files: dict[str, str]) -> dict[str, int]:
    """Rows of each file, which its header is not."""
    counts = {}
    for split, file in files.items():
        with open(file, "rb") as lines:
            counts[split] = sum(1 for _ in lines) - 1
    return counts
