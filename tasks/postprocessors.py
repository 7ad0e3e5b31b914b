"""From a model's text to an answer that metrics compare, without TensorFlow."""

from collections.abc import Sequence


def label(text: str, labels: Sequence[str] | None) -> str | None:
    """The text without white space around it; None if it is not one of `labels`. `labels` None accepts every text."""
    text = text.strip()
    return text if labels is None or text in labels else None
