"""`ptune models`: which models ship with ptune, and what a model or a checkpoint folder is. JAX is not needed, so it is quick."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ptune_cli import shipped
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.formats import huggingface, vocabulary_file
from ptune_cli.t5.config import parameter_shapes
from ptune_cli.t5.fingerprint import fingerprint

EMBEDDINGS = ("token_embedder/embedding", "decoder/logits_dense/kernel")  # what "besides embeddings" leaves out
LAYER = re.compile(r"(encoder|decoder)/layers_\d+/pre_mlp_layer_norm/scale")
COLUMNS = ("model", "body", "all", "d_model", "layers", "vocabulary", "steps", "loss", "MB", "weights")
LEGEND = """body: parameters besides embeddings; vocabulary: its pieces and sha256; steps: of span corruption + of LM adaptation;
loss: per target token of held-out text, under the objective of the last steps; weights: their fingerprint, which prompts name.
ptune models NAME prints a model's card."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """List the models that ship with ptune, smallest first; or print the card of one; or say what a checkpoint folder is.

    Example: ptune models tiny
    """

    # a shipped model, a Hugging Face folder or a T5X checkpoint; none: the list
    name: str | None = field(default=None, metadata={"positional": True})
    json: bool = field(default=False, metadata={"saved": False})

    def run(self) -> None:
        """Print the list, or the card or facts of `name`."""
        if self.name is None:
            found = sorted(map(facts, shipped.names()), key=_size)
            print(json.dumps(found, indent=2)) if self.json else _show(found)
        elif self.json:
            print(json.dumps(facts(self.name), indent=2))
        elif self.name in shipped.names():
            print(shipped.card(self.name), end="")
        else:
            print(_sentence(facts(self.name)))


def facts(name: str) -> dict:
    """What is known of a model, by its name or path, as `--json` prints it. None stands for what its files do not tell.

    No weight is read except for the fingerprint, and that only of models that ship. Raises UserError for no such model.
    """
    folder = shipped.locate(name)
    found = {"name": name, **(_of_huggingface(Path(folder)) if huggingface.is_huggingface(folder) else _of_t5x(folder))}
    weights = huggingface.read(folder, "bfloat16")[1] if name in shipped.names() else None
    return {**found, "fingerprint": fingerprint(weights) if weights else None, "training": shipped.training(folder)}


def _of_huggingface(folder: Path) -> dict:
    config = huggingface.read_config(folder / huggingface.CONFIG)
    return {
        "format": "Hugging Face",
        "folder": str(folder),
        **_sizes(parameter_shapes(config)),
        "num_heads": config.num_heads,
        "vocabulary": _vocabulary(folder),
        "weights_bytes": sum(file.stat().st_size for file in folder.glob("*.safetensors")),
    }


def _of_t5x(folder: str) -> dict:
    from ptune_cli.formats import t5x  # imports JAX by way of flax, which takes as long as all else here

    sizes = _sizes(t5x.stored_shapes(folder))
    return {
        "format": "T5X",
        "folder": t5x.find_step(folder),
        **sizes,
        "num_heads": None,
        "vocabulary": None,
        "weights_bytes": None,
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


def _vocabulary(folder: Path) -> dict | None:
    if not any((folder / name).is_file() for name in vocabulary_file.NAMES):
        return None
    found = Vocabulary(vocabulary_file.find(str(folder), folder))
    return {"pieces": found.size - found.extra_ids, "sentinels": found.extra_ids, "sha256": found.sha256}


def _size(found: Mapping) -> tuple[int, int]:
    return found["parameters_besides_embeddings"], sum(phase["steps"] for phase in _phases(found))


def _phases(found: Mapping) -> list[dict]:
    return found["training"]["phases"] if found["training"] else []


def _show(models: list[dict]) -> None:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "model" else "right")
    for found in models:
        table.add_row(*_row(found))
    Console().print(table)
    print(LEGEND)


def _row(found: Mapping) -> list[str]:
    vocabulary, phases = found["vocabulary"], _phases(found)
    return [
        found["name"],
        _millions(found["parameters_besides_embeddings"]),
        _millions(found["parameters"]),
        str(found["d_model"]),
        f"{found['encoder_layers']}+{found['decoder_layers']}",
        f"{vocabulary['pieces']:,} {vocabulary['sha256'][:8]}" if vocabulary else "",
        "+".join(str(phase["steps"]) for phase in phases),
        f"{phases[-1]['held_out'][-1]['loss']:.3f}" if phases else "",
        f"{found['weights_bytes'] / 1e6:.1f}" if found["weights_bytes"] else "",
        (found["fingerprint"] or "")[:8],
    ]


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f}M"


def _sentence(found: Mapping) -> str:
    sizes = f"{found['parameters']:,} parameters ({found['parameters_besides_embeddings']:,} besides embeddings)"
    layers = f"{found['encoder_layers']} encoder and {found['decoder_layers']} decoder layers, d_model {found['d_model']}"
    vocabulary = found["vocabulary"]
    rows = f"{found['embedding_rows']:,} embedding rows"
    told = f"vocabulary of {vocabulary['pieces']:,} pieces, sha256 {vocabulary['sha256']}" if vocabulary else "no vocabulary"
    return f"{found['folder']} ({found['format']}): {sizes}, {layers}, {rows}, {told}"
