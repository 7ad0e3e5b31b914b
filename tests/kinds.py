"""A task of the user's own, `kinds:kinds`: sixty short texts, three labels. For the tests of the commands.

Only the process that prepares it imports this.
"""

# ruff: noqa: TID253 - see above

import seqio
import tensorflow as tf

WORDS = {"dog": ["mal", "wolf", "hound"], "plant": ["tree", "fern", "grass", "weed"], "people": ["person", "the sisters"]}
SIZES = {"train": 40, "validation": 12, "test": 8}
FIRST = {"train": 0, "validation": 40, "test": 52}


def rows(split: str) -> dict[str, list[str]]:
    numbers = range(FIRST[split], FIRST[split] + SIZES[split])
    labels = [list(WORDS)[i % 3] for i in numbers]
    words = [WORDS[label][i % len(WORDS[label])] for i, label in zip(numbers, labels, strict=True)]
    inputs = [f"{word} {'in the sand ' * (i % 4)}{i}" for i, word in zip(numbers, words, strict=True)]
    return {"inputs": inputs, "targets": labels}


def read(split: str, shuffle_files: bool) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(rows(split))


feature = seqio.Feature(seqio.SentencePieceVocabulary("spiece.model", 100))  # ptune puts the base model's in its place
seqio.TaskRegistry.add(
    "kinds",
    source=seqio.FunctionDataSource(read, splits=tuple(SIZES), num_input_examples=SIZES),
    preprocessors=[seqio.preprocessors.tokenize, seqio.preprocessors.append_eos],
    output_features={"inputs": feature, "targets": feature},
)
