"""The two containers that T5X keeps a tree of arrays in, to be written: msgpack with Zarr folders, and Orbax's database.

Both hold Zarr arrays of version 2. They differ in where those lie and in the files that name them.
"""

import base64
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
from flax.serialization import msgpack_serialize
from flax.traverse_util import unflatten_dict

VERSION = 3  # of T5X's msgpack: arrays of bfloat16 are stored as such
STEP = "state/step"
COMPRESSOR = {"id": "zstd", "level": 1}  # as T5X writes from several devices; from one it writes gzip, and it reads both
DATA_FILE_BYTES = 2**28  # of the database: what is written is in memory until such a file is full, or the write awaited
STATE_HANDLER = "orbax.checkpoint._src.handlers.pytree_checkpoint_handler.PyTreeCheckpointHandler"
SHARDING = {  # whole on the first device, wherever it is read: what Orbax does where it is not told
    "sharding_type": "NamedSharding",
    "shape": [1, 1],
    "axis_names": ["data", "model"],
    "axis_types": ["AxisType.Auto", "AxisType.Auto"],
    "partition_spec": [],
    "device_mesh": {"mesh": [[{"id": 0}]]},
}

Spec = dict[str, Any]


@dataclass(frozen=True)
class Array:
    """An array of a checkpoint: its name in the tree ("target/encoder/..."), and the shape of the chunks it is stored in."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    chunk: tuple[int, ...]

    @property
    def dotted(self) -> str:
        return self.name.replace("/", ".")

    @property
    def metadata(self) -> Spec:
        return {"chunks": list(self.chunk), "compressor": COMPRESSOR, "shape": list(self.shape)}


class Msgpack:
    """T5X's own (`use_orbax=False`): the file `checkpoint`, and for every array a folder `target.encoder...`."""

    def __init__(self, folder: Path):
        self._folder, self.context = folder, ts.Context()
        folder.mkdir(parents=True, exist_ok=True)

    def kvstore(self, array: Array) -> Spec:
        """TensorStore's spec of where the array lies."""
        return {"driver": "file", "path": f"{self._folder}/{array.dotted}/"}

    def commit(self, arrays: Sequence[Array], step: int) -> None:
        """Writes the file that names the arrays and makes the folder a checkpoint. `step` is in that file."""
        leaves: dict[str, Any] = {f"optimizer/{array.name}": _reference(array) for array in arrays}
        leaves[f"optimizer/{STEP}"] = np.asarray(step, np.int32)
        tree = {"version": VERSION, **unflatten_dict(leaves, sep="/")}
        (self._folder / "checkpoint").write_bytes(msgpack_serialize(tree))


class Orbax:
    """Orbax's (`use_orbax=True`): the folder `state`, with every array in one OCDBT database and `_METADATA` beside it."""

    def __init__(self, folder: Path):
        self._folder, self.context, self._begun = folder, ts.Context(), time.time_ns()
        (folder / "state" / "array_metadatas").mkdir(parents=True, exist_ok=True)

    def kvstore(self, array: Array) -> Spec:
        """TensorStore's spec of where the array lies."""
        base = {"driver": "file", "path": f"{self._folder}/state/"}
        config = {"target_data_file_size": DATA_FILE_BYTES}
        return {"driver": "ocdbt", "base": base, "path": f"{array.dotted}/", **config}

    def commit(self, arrays: Sequence[Array], step: int) -> None:
        """Writes the files that name the arrays and make the folder a checkpoint. `step` is an array like the others."""
        count = Array(STEP, (), np.dtype(np.int32), ())
        open_array(self, count).result().write(np.int32(step)).result()
        stored = (*arrays, count)
        self._write("state/array_metadatas/process_0", {"array_metadatas": [_chunked(array) for array in stored]})
        self._write("state/_METADATA", _tree(stored))
        self._write("state/_sharding", {_base64(array.dotted): json.dumps(SHARDING) for array in stored})
        self._write("_CHECKPOINT_METADATA", _about(self._begun))
        for folder in ("state/", ""):  # Orbax takes a folder without it, on Google's object store, for an unfinished one
            (self._folder / f"{folder}commit_success.txt").write_text("Checkpoint commit was successful\n")

    def _write(self, name: str, content: Any) -> None:
        (self._folder / name).write_text(json.dumps(content))


def open_array(container: Msgpack | Orbax, array: Array) -> Any:
    """TensorStore's future of a new array. Chunks of zeros are stored as well: one that is missing later was lost.

    A container has one context, in which the database is opened once: what is written at once is one commit.
    """
    spec = {"driver": "zarr", "dtype": array.dtype.name, "kvstore": container.kvstore(array), "metadata": array.metadata}
    return ts.open({**spec, "store_data_equal_to_fill_value": True}, create=True, context=container.context)


def _reference(array: Array) -> Spec:
    """The spec that stands for an array in the msgpack. Its path begins at the checkpoint's folder."""
    kvstore = {"driver": "file", "path": f"{array.dotted}/"}
    return {"driver": "zarr", "dtype": array.dtype.name, "kvstore": kvstore, "metadata": array.metadata}


def _tree(arrays: Sequence[Array]) -> Spec:
    tree = {str(tuple(array.name.split("/"))): _node(array) for array in arrays}
    options = {"use_ocdbt": True, "use_zarr3": False, "store_array_data_equal_to_fill_value": True, "custom_metadata": None}
    return {"tree_metadata": tree, **options}


def _node(array: Array) -> Spec:
    keys = [{"key": key, "key_type": 2} for key in array.name.split("/")]  # 2: a key of a dict
    value = {"value_type": "jax.Array", "skip_deserialize": False, "write_shape": list(array.chunk)}
    return {"key_metadata": keys, "value_metadata": value}


def _chunked(array: Array) -> Spec:
    chunk = list(array.chunk)
    return {"array_metadata": {"param_name": array.dotted, "write_shape": chunk, "chunk_shape": chunk, "ext_metadata": None}}


def _base64(name: str) -> str:
    return base64.b64encode(name.encode()).decode()


def _about(begun: int) -> Spec:
    times = {"init_timestamp_nsecs": begun, "commit_timestamp_nsecs": time.time_ns()}
    return {"item_handlers": {"state": STATE_HANDLER}, "metrics": {}, "performance_metrics": {}, **times, "custom_metadata": {}}
