"""`ptune models`: which models ship with ptune, and what a model or a checkpoint folder is. JAX is not needed, so it is quick."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ptune_cli import shipped
from ptune_cli.model_facts import facts

COLUMNS = ("model", "body", "all", "d_model", "layers", "steps", "loss", "MB", "weights")
LEGEND = """body: parameters besides embeddings; steps: of span corruption + of LM adaptation; loss: per target token of
held-out text, under the objective of the last steps; weights: their fingerprint, which prompts name. ptune models NAME prints
a model's card."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """List the models that ship with ptune, smallest first; or print the card of one; or say what a checkpoint folder is.

    Example: ptune models tiny
    """

    # a shipped model, a Hugging Face folder, hf://ORG/NAME or a T5X checkpoint; none: the list
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


def _size(found: Mapping) -> tuple[int, int]:
    return found["parameters_besides_embeddings"], sum(phase["steps"] for phase in _phases(found))


def _phases(found: Mapping) -> list[dict]:
    return found["training"]["phases"] if found["training"] else []


def _show(models: list[dict]) -> None:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    for found in models:
        table.add_row(*_row(found))
    Console().print(table)
    for vocabulary in dict.fromkeys(_told(found["vocabulary"]) for found in models):
        names = ", ".join(found["name"] for found in models if _told(found["vocabulary"]) == vocabulary)
        print(f"{vocabulary}: {names}")
    print(LEGEND)


def _told(vocabulary: Mapping | None, digits: int = 12) -> str:
    if vocabulary is None:
        return "no vocabulary"
    return f"vocabulary of {vocabulary['pieces']:,} pieces, sha256 {vocabulary['sha256'][:digits]}"


def _row(found: Mapping) -> list[str]:
    phases = _phases(found)
    return [
        found["name"],
        _millions(found["parameters_besides_embeddings"]),
        _millions(found["parameters"]),
        str(found["d_model"]),
        f"{found['encoder_layers']}+{found['decoder_layers']}",
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
    rows, vocabulary = f"{found['embedding_rows']:,} embedding rows", _told(found["vocabulary"], digits=64)
    return f"{found['folder']} ({found['format']}): {sizes}, {layers}, {rows}, {vocabulary}"
