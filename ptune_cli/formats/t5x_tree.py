"""The tree of a T5X checkpoint: {name: array, or folder of a Zarr array}, from either of the files that hold one.

`checkpoint`  msgpack, as Flax writes it. A leaf is an array, or stands for a Zarr array: a TensorStore spec (T5X) or
              `PLACEHOLDER://folder` (the first Orbax)
`_METADATA`   Orbax's JSON: names only, each of a Zarr array
"""

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import msgpack
import numpy as np
from flax.serialization import msgpack_restore

from ptune_cli.errors import UserError
from ptune_cli.formats.strict import damaged

PLACEHOLDER = "PLACEHOLDER://"
LONGEST_NAME = 1000  # characters, of an array with all that it is within
EMPTY_NODES = ("None", "Dict", "List", "Tuple")  # Orbax's value types of nodes without an array

Leaf = np.ndarray | str


def parse(data: bytes, file: str) -> tuple[dict[str, Leaf], str]:
    """The leaves ({"target/encoder/...": leaf}) in the bytes of `file`, and TensorStore's driver for the Zarr arrays.

    `file` ends in `checkpoint` or `_METADATA`. Raises UserError, naming the file, where the bytes are no such tree.
    """
    if data.startswith(b"model_checkpoint_path"):
        hint = "ptune reads those from a local folder: copy all its files, model.ckpt-N.*"
        raise UserError(f"{file} is of a TensorFlow checkpoint, expected a T5X one", hint)
    try:
        if file.endswith("checkpoint"):
            return _named(_msgpack_leaves(msgpack_restore(data), "")), "zarr"
        metadata = json.loads(data)
        return _named(_orbax_leaves(metadata)), "zarr3" if metadata.get("use_zarr3") else "zarr"
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, msgpack.UnpackException) as error:
        raise damaged(file, error) from error


def _named(leaves: Iterator[tuple[str, Leaf]]) -> dict[str, Leaf]:
    """The leaves, after making sure that their names and folders can be shown and opened."""
    named = dict(leaves)
    for text in (*named, *(leaf for leaf in named.values() if isinstance(leaf, str))):
        if not text.isprintable() or len(text) > LONGEST_NAME:
            raise ValueError(f"no name of an array: {ascii(text[:LONGEST_NAME])}")
    return named


def _orbax_leaves(metadata: dict[str, Any]) -> Iterator[tuple[str, Leaf]]:
    for entry in metadata["tree_metadata"].values():
        if entry["value_metadata"]["value_type"] not in EMPTY_NODES:
            keys = [str(key["key"]) for key in entry["key_metadata"]]
            yield "/".join(keys), _folder(".".join(keys))


def _msgpack_leaves(tree: Any, prefix: str) -> Iterator[tuple[str, Leaf]]:
    for key, node in tree.items():
        name = f"{prefix}{key}"
        if isinstance(node, dict) and "driver" in node:
            # TensorStore before 0.1.14 had the path outside. Driver and bucket tell only where T5X wrote it.
            yield name, _folder(node.get("kvstore", {}).get("path") or node["path"])
        elif isinstance(node, dict):
            yield from _msgpack_leaves(node, f"{name}/")
        elif isinstance(node, str) and node.startswith(PLACEHOLDER):
            yield name, _folder(node.removeprefix(PLACEHOLDER))
        elif isinstance(node, np.ndarray | np.generic):
            yield name, np.asarray(node)


def _folder(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"array folder {name} is outside the checkpoint")
    return str(path)
