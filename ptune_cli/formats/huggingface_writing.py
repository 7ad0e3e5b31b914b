"""Writes a T5 as Hugging Face's `transformers` does, a block at a time: config.json and model.safetensors in one folder."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import prod
from pathlib import Path

import numpy as np

from ptune_cli.formats import safetensors_writing
from ptune_cli.formats.atomic import replacing, write_atomically
from ptune_cli.formats.blocks import blocks
from ptune_cli.formats.huggingface import CONFIG
from ptune_cli.formats.huggingface_config import config_json
from ptune_cli.formats.huggingface_names import huggingface_name, is_transposed
from ptune_cli.formats.huggingface_tensors import INDEX, WEIGHTS
from ptune_cli.formats.safetensors_writing import Write, byte_count
from ptune_cli.formats.strict import Put, Shapes, check_shapes, float_dtype
from ptune_cli.t5.config import T5Config, parameter_shapes

SHARD_BYTES = 50 * 10**9  # the most in one file by transformers 5's default; a tensor is never split


@contextmanager
def writing(folder: str | Path, config: T5Config, dtype: str, shard_bytes: int = SHARD_BYTES) -> Iterator[Put]:
    """Yields a `put` that takes every parameter by its T5X name, in any order and from any thread, and writes it as `dtype`.

    When the body ends, `T5ForConditionalGeneration.from_pretrained(folder)` reads them. Each file is whole or absent, and
    config.json comes last. In memory are a block of BLOCK_BYTES for each thread, however large a parameter. A model of more
    than `shard_bytes` goes into several files with an index, as transformers would write it.

    Raises UserError where the folder cannot be written, the disk is full, Hugging Face has no such T5, or the parameters that
    were put are not those of `config`.
    """
    folder, expected = Path(folder).expanduser(), parameter_shapes(config)
    float_dtype(dtype)
    settings = config_json(config, dtype)
    stored = dict(tensors(config).values())
    files = _shards(stored, dtype, shard_bytes)
    put_shapes: dict[str, tuple[int, ...]] = {}
    with ExitStack() as stack:
        writes: dict[str, Write] = {}
        for file, names in files.items():
            temporary = stack.enter_context(replacing(folder / file))
            shapes = {name: stored[name] for name in names}
            write = stack.enter_context(safetensors_writing.writing(temporary, shapes, dtype))
            writes.update((name, write) for name in names)

        def put(name: str, shape: tuple[int, ...], read: Callable[[tuple[slice, ...]], np.ndarray]) -> None:
            check_shapes({name: shape}, {name: expected[name]} if name in expected else {}, "the model")
            _put(name, shape, read, writes[huggingface_name(name)], dtype)
            put_shapes[name] = shape

        yield put
        check_shapes(put_shapes, expected, "the model")
    if len(files) > 1:
        write_atomically(folder / INDEX, _index(files, stored, dtype))
    write_atomically(folder / CONFIG, settings)  # last, for it is what makes the folder a model


def write(folder: str | Path, config: T5Config, params: Mapping[str, np.ndarray]) -> None:
    """Writes `params` {T5X name: array}, all of one dtype, by `writing`."""
    with writing(folder, config, params["token_embedder/embedding"].dtype.name) as put:
        for name, array in params.items():
            put(name, array.shape, array.__getitem__)


def tensors(config: T5Config) -> dict[str, tuple[str, tuple[int, ...]]]:
    """{T5X's name of a parameter: (Hugging Face's, shape as Hugging Face stores it)}. UserError where it has no such T5."""
    return {name: (huggingface_name(name), _turned(name, shape)) for name, shape in parameter_shapes(config).items()}


def _put(name: str, shape: tuple[int, ...], read: Callable, write: Write, dtype: str) -> None:
    """Blocks of rows as they are stored, which are columns of a parameter that is stored turned around."""
    for block in blocks(_turned(name, shape), float_dtype(dtype).itemsize):
        part = read(block[::-1] if is_transposed(name) else block)
        write(huggingface_name(name), block[0].start, part.T if is_transposed(name) else part)


def _turned(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[::-1] if is_transposed(name) else shape


def _shards(stored: Shapes, dtype: str, shard_bytes: int) -> dict[str, list[str]]:
    """{file: names of its tensors}: as many to a file as fit, one at least."""
    groups: list[list[str]] = [[]]
    room = shard_bytes
    for name, shape in stored.items():
        size = byte_count(shape, dtype)
        if size > room and groups[-1]:
            groups.append([])
            room = shard_bytes
        groups[-1].append(name)
        room -= size
    if len(groups) == 1:
        return {WEIGHTS: groups[0]}
    stem = Path(WEIGHTS).stem
    return {f"{stem}-{i:05d}-of-{len(groups):05d}.safetensors": names for i, names in enumerate(groups, 1)}


def _index(files: Mapping[str, list[str]], stored: Shapes, dtype: str) -> bytes:
    count = sum(map(prod, stored.values()))
    metadata = {"total_parameters": count, "total_size": count * float_dtype(dtype).itemsize}
    places = {name: file for file, names in files.items() for name in names}
    return (json.dumps({"metadata": metadata, "weight_map": places}, indent=2, sort_keys=True) + "\n").encode()
