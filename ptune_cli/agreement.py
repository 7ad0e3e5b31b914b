"""What several processes of a run have in common: the first one's run folder, what it reads, and what must be alike on all."""

import hashlib
import pickle
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from ptune_cli.errors import UserError

Value = TypeVar("Value")


def first() -> bool:
    """Whether this process owns the run folder: the first of several, or the only one."""
    return jax.process_index() == 0


@contextmanager
def own_folder(output: str) -> Iterator[str]:
    """The run folder for the first process; for each of the others a temporary one, so that all run the same lines."""
    if first():
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="ptune-") as folder:
        yield str(Path(folder) / "run")


def from_first(value: Value) -> Value:
    """What the first process has, on all. It must pickle; the others' values are nothing to anyone."""
    if jax.process_count() == 1:
        return value
    data = np.frombuffer(pickle.dumps(value if first() else None), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(data))))
    whole = multihost_utils.broadcast_one_to_all(data if first() else np.zeros(size, np.uint8))
    return pickle.loads(np.asarray(whole).tobytes())


def agree(facts: Mapping[str, str]) -> None:
    """UserError, on all processes, unless they have the same of each fact; it names the first fact and process that differ."""
    if jax.process_count() == 1:
        return
    digests = np.stack([np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8) for text in facts.values()])
    everyones = np.asarray(multihost_utils.process_allgather(digests))
    different = np.argwhere((everyones != everyones[0]).any(axis=2))
    if len(different):
        process, fact = different[0]
        raise UserError(f"process {process} has another {list(facts)[fact]} than process 0", "give all of them the same")


def code() -> str:
    """What the package's source is, as a hash."""
    digest, root = hashlib.sha256(), Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return digest.hexdigest()
