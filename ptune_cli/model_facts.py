"""What a model is, by its name or path: sizes, vocabulary, fingerprint, training. JAX is not needed, so it is quick."""

import re
from collections.abc import Mapping
from pathlib import Path

from ptune_cli import shipped
from ptune_cli.data import vocabularies
from ptune_cli.formats import checkpoint, hub, huggingface_tensors, vocabulary_file
from ptune_cli.t5.fingerprint import fingerprint

EMBEDDINGS = ("token_embedder/embedding", "decoder/logits_dense/kernel")  # what "besides embeddings" leaves out
LAYER = re.compile(r"(encoder|decoder)/layers_\d+/pre_mlp_layer_norm/scale")


def facts(name: str) -> dict:
    """What is known of a model, by its name or path, as `--json` prints it. None stands for what its files do not tell.

    No weight is read except for the fingerprint, and that only of models that ship. Raises UserError for no such model.
    """
    folder = hub.locate(name)
    reader, weights = checkpoint.reader(folder), None
    if name in shipped.names():
        weights = checkpoint.read(folder, checkpoint.sizes(folder), "bfloat16")
    config = reader.sizes(folder)
    return {
        "name": name,
        "format": reader.name,
        **_sizes(reader.shapes(folder)),
        "folder": reader.folder(folder),
        "num_heads": config.num_heads if config else None,
        "vocabulary": _vocabulary(Path(folder)),
        "weights_bytes": _weights_bytes(Path(folder)) if config else None,
        "fingerprint": fingerprint(weights) if weights else None,
        "training": shipped.training(folder),
    }


def _sizes(shapes: Mapping[str, tuple[int, ...]]) -> dict:
    counts = {name: _product(shape) for name, shape in shapes.items()}
    stacks = [found[1] for name in shapes if (found := LAYER.fullmatch(name))]
    rows, width = shapes.get(EMBEDDINGS[0], (None, None))
    return {
        "parameters_besides_embeddings": sum(n for name, n in counts.items() if name not in EMBEDDINGS),
        "parameters": sum(counts.values()),
        "d_model": width,
        "encoder_layers": stacks.count("encoder"),
        "decoder_layers": stacks.count("decoder"),
        "embedding_rows": rows,
    }


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for n in shape:
        count *= n
    return count


def _weights_bytes(folder: Path) -> int | None:
    return sum(file.stat().st_size for file in huggingface_tensors.files(folder) if file.is_file()) or None


def _vocabulary(folder: Path) -> dict | None:
    if not vocabulary_file.is_in(folder):
        return None
    found = vocabularies.load(str(folder))
    return {"pieces": found.pieces, "sentinels": found.extra_ids, "sha256": found.sha256}
