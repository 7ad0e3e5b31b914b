"""The catalog's TFDS tasks as seqio tasks: from TFDS rows to token ids. Scoring them is `tasks.register`'s business."""

# ruff: noqa: TID253 - nothing imports this module but preparation, in a process of its own, and `tasks.register`

import seqio

from tasks import catalog
from tasks.formatting import preprocessor
from tasks.vocabulary import vocabulary


def task(name: str, vocabulary_path: str) -> seqio.Task:
    """The seqio task of a catalog entry, not registered anywhere, with the vocabulary at a place of `tasks.vocabulary`."""
    entry = catalog.lookup(name)
    feature = seqio.Feature(vocabulary(vocabulary_path), add_eos=True)
    return seqio.Task(
        name,
        source=seqio.TfdsDataSource(entry.source, splits=dict(entry.splits)),
        preprocessors=[
            preprocessor(entry.text),
            seqio.preprocessors.tokenize,
            seqio.CacheDatasetPlaceholder(),
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features={"inputs": feature, "targets": feature},
    )
