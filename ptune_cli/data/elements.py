"""Elements of a tf.data dataset, fetched in batches and taken apart again.

Fetching them one at a time costs more than most preprocessors. TensorFlow is not imported here: a dataset brings its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BATCH = 256


def elements(dataset: Any) -> Iterator[dict[str, Any]]:
    """The elements of a `tf.data.Dataset` of dicts, in order, with the values that its `as_numpy_iterator` gives.

    Fields that are ragged in themselves, or in more than their first axis, come as nested lists.
    """
    # Only one element at a time fits any batch where a field's rank differs from element to element.
    size = 1 if _any_unknown_rank(dataset.element_spec) else BATCH
    for numbers, batch in dataset.enumerate().ragged_batch(size):
        yield from _rows(batch, len(numbers))


def _any_unknown_rank(spec: Any) -> bool:
    if isinstance(spec, Mapping):
        return any(_any_unknown_rank(part) for part in spec.values())
    return hasattr(spec, "shape") and spec.shape.rank is None


def _rows(value: Any, count: int) -> Sequence:
    """The values of one field, or of a dict of fields, in each of the `count` rows of a batch."""
    if isinstance(value, Mapping):
        columns = {name: _rows(part, count) for name, part in value.items()}
        return [{name: column[i] for name, column in columns.items()} for i in range(count)]
    if value is None:
        return [None] * count
    if not hasattr(value, "row_splits"):
        return value.numpy()
    if value.ragged_rank > 1:
        return value.to_list()
    values, splits = value.flat_values.numpy(), value.row_splits.numpy().tolist()
    return [values[start:end] for start, end in zip(splits, splits[1:], strict=False)]
