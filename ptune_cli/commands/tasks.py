"""`ptune tasks`: which tasks there are, and what one of them looks like."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ptune_cli.base_model import BaseModel
from ptune_cli.data.fingerprint import splits_of
from ptune_cli.data.preparation import ensure
from ptune_cli.data.prepared import Prepared
from ptune_cli.evaluation.score import majority
from tasks import catalog
from tasks.sentinel import plain

BARS = "▁▂▃▄▅▆▇█"
BINS = 24  # of a histogram of lengths


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """List the tasks; or describe one: its examples, labels, lengths, and what guessing the commonest answer scores.

    Example: ptune tasks gloss_topic
    """

    name: str | None = field(default=None, metadata={"positional": True})  # none: the list
    all: bool = False  # list every task under its full name, not only the ones with a short name
    model: BaseModel = BaseModel(checkpoint="tiny")  # whose vocabulary counts the tokens
    input_length: int = 512  # tokens, EOS included: how much is cut at this length
    examples: int = 5
    offline: bool = False  # use only what is prepared already
    json: bool = field(default=False, metadata={"saved": False})

    def run(self) -> None:
        """Print the list, or the description of `name`."""
        if self.name is None:
            rows = listed(self.all)
            print(json.dumps(rows, indent=2)) if self.json else _show_list(rows)
            return
        splits = splits_of(self.name)
        wanted = [(self.name, split) for split in splits]
        found = dict(zip(splits, ensure(wanted, self.model.load_vocabulary(), offline=self.offline), strict=True))
        description = describe(self.name, found, self.input_length, self.examples)
        print(json.dumps(description, indent=2, ensure_ascii=False)) if self.json else _show(description)


def listed(every: bool) -> list[dict]:
    """The tasks of the catalog: those with a short name, under it; or all."""
    short = {name: alias for alias, name in catalog.aliases().items()}
    rows = []
    for name, entry in catalog.tasks().items():
        if every or name in short or entry.group in ("demo", "transfer") and not _other_form(name):
            parts = {s: catalog.lookup(task).rows.get(part) for s, (task, part) in entry.parts.items()}
            counts = {split: {**entry.rows, **parts}.get(split) for split in entry.splits}
            shown = {"name": name if every else short.get(name, name), "full_name": name, "group": entry.group}
            rows.append({**shown, "rows": counts, "labels": entry.labels, "scores": entry.headline, "source": entry.source})
    return rows


def _other_form(name: str) -> bool:
    """Whether a task is a form of another that people rather choose."""
    return name.startswith(("glue", "taskless")) or plain(name) != name


def describe(name: str, splits: Mapping[str, Prepared], input_length: int, examples: int) -> dict:
    """What `ptune tasks NAME` says; lengths are tokens with EOS."""
    first = next(iter(splits.values()))
    shown = np.linspace(0, len(first) - 1, min(examples, len(first))).astype(int).tolist()  # spread, as a file may be sorted
    seen = {split: {_key(found.row(i)) for i in range(len(found))} for split, found in splits.items()}
    return {
        "name": name,
        "labels": first.labels,
        "metrics": first.metrics,
        "examples": [{key: first.row(i)[key] for key in ("inputs", "targets")} for i in shown],
        "input_limit": input_length,
        "splits": {
            split: {
                "examples": len(found),
                "input_length": _lengths(found.input_lengths + 1, input_length),
                "longest_target": int(found.target_lengths.max()) + 1,
                "majority": majority(first, found),
                "also_in_training": len(seen[split] & seen["train"]) if split != "train" and "train" in seen else None,
            }
            for split, found in splits.items()
        },
    }


def _key(row: Mapping) -> tuple[str, str]:
    return row["inputs"], row["targets"]


def _lengths(lengths: np.ndarray, limit: int) -> dict:
    counts, edges = np.histogram(lengths, bins=BINS)
    return {
        "median": int(np.median(lengths)),
        "longest": int(lengths.max()),
        "cut_percent": 100 * float((lengths > limit).mean()),
        "histogram": {"counts": counts.tolist(), "from": int(edges[0]), "to": int(edges[-1])},
    }


def _show_list(rows: list[dict]) -> None:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("task")
    for split in ("train", "valid.", "test"):
        table.add_column(split, justify="right", min_width=7)  # 363,846 rows; a narrow terminal breaks names and scores first
    table.add_column("labels", min_width=6)
    table.add_column("score")
    group = None
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            table.add_section()
            table.add_row(f"[bold]{group}[/bold]")
        counts = [
            "" if split not in row["rows"] else f"{row['rows'][split] or '?':,}" for split in ("train", "validation", "test")
        ]
        table.add_row(row["name"], *counts, str(len(row["labels"])) if row["labels"] else "text", ", ".join(row["scores"]))
    Console().print(table)
    print("ptune tasks NAME describes one; --all lists the full names; MODULE:TASK is a seqio task of your own.")


def _show(description: Mapping) -> None:
    console = Console()
    labels = ", ".join(description["labels"]) if description["labels"] else "free text"
    console.print(f"[bold]{description['name']}[/bold]: {labels}; scored by {', '.join(description['metrics'])}\n")
    for example in description["examples"]:
        console.print(f"  {_cut(example['inputs'])}\n    -> {example['targets']}", highlight=False, markup=False)
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    cut = f"over {description['input_limit']}"
    for column in ("split", "examples", "input tokens", "longest", cut, "target", "majority (%)", "in training too"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for split, found in description["splits"].items():
        lengths, majority = found["input_length"], ", ".join(f"{k} {v:.1f}" for k, v in found["majority"].items())
        spread = str(lengths["median"]), str(lengths["longest"]), f"{lengths['cut_percent']:.1f}%"
        overlap = "" if found["also_in_training"] is None else f"{found['also_in_training']:,}"
        table.add_row(split, f"{found['examples']:,}", *spread, str(found["longest_target"]), majority or "hidden", overlap)
    console.print(table)
    console.print("lengths in tokens, end of sequence included; input tokens are the median", highlight=False)
    for split, found in description["splits"].items():
        histogram = found["input_length"]["histogram"]
        console.print(
            f"  {split:<12}{histogram['from']:>5} {_bars(histogram['counts'])} {histogram['to']} tokens", highlight=False
        )


def _cut(text: str, width: int = 300) -> str:
    return text if len(text) <= width else f"{text[:width]} ..."


def _bars(counts: list[int]) -> str:
    most = max(counts)
    return "".join(" " if not count else BARS[(len(BARS) - 1) * count // most] for count in counts)
