"""What is known of a prompt, as text: the header of a safetensors file holds nothing else, so other values are JSON there."""

import json
from collections.abc import Mapping
from typing import Any

# Metadata that is text as it is.
TEXT = ("format", "base_model", "base_fingerprint", "vocabulary_sha256", "task", "placement", "ptune_version")


def as_texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The metadata, for a header."""
    return {name: value if name in TEXT else json.dumps(value, sort_keys=True) for name, value in metadata.items()}


def from_texts(texts: Mapping[str, str]) -> dict[str, Any]:
    """What a header holds; text that another program put there stays text."""
    return {name: text if name in TEXT else _value(text) for name, text in texts.items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
