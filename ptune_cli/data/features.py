"""What the features of a seqio task's element become in a prepared split."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ptune_cli.data.partial import Example
from ptune_cli.data.vocabulary import Vocabulary

TOKENS = ("inputs", "targets")


def example(features: Mapping[str, Any], vocabulary: Vocabulary, targets_end: bool = True) -> Example:
    """Tokens without end of sequence, and every other field; the texts are the ones from before tokenisation.

    Not `targets_end`: the task's targets end in it only where it has put it there itself, so theirs stays.
    """
    inputs, targets = (_tokens(features, name, vocabulary) for name in TOKENS)
    if targets_end:
        targets = _without_end(targets, vocabulary)
    inputs = _without_end(inputs, vocabulary)
    row = {key.removesuffix("_pretokenized"): plain(value) for key, value in features.items() if key not in TOKENS}
    for name, tokens in (("inputs", inputs), ("targets", targets)):
        if name not in row:  # the task kept no text
            row[name] = vocabulary.decode(tokens)
    return Example(inputs, targets, row)


def _tokens(features: Mapping[str, Any], name: str, vocabulary: Vocabulary) -> np.ndarray:
    if name == "inputs" and name not in features:  # a language model's task has targets only
        return np.zeros(0, np.int32)
    if name not in features:
        raise ValueError(f"its examples have the fields {', '.join(sorted(features))}; expected '{name}'")
    tokens = np.asarray(features[name])
    if tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"'{name}' is {tokens.dtype} of rank {tokens.ndim}; expected token ids of rank 1")
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < vocabulary.size:
        raise ValueError(f"'{name}' has an id outside the vocabulary's 0..{vocabulary.size - 1}")
    return tokens


def _without_end(tokens: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    return tokens[:-1] if tokens.size and tokens[-1] == vocabulary.eos_id else tokens


def plain(value: Any) -> Any:
    """A value of TensorFlow or NumPy as what JSON holds."""
    if hasattr(value, "to_list"):  # ragged
        return plain(value.to_list())
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
