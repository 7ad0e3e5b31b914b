"""What a run found: every member's best prompt beside the majority class and the untuned model, as results.json and a table."""

import json
import sys
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ptune_cli.base_model import Frozen
from ptune_cli.data.prepared import Prepared
from ptune_cli.evaluation.predict import Protocol
from ptune_cli.evaluation.score import Scorer, majority
from ptune_cli.file_task import shown
from ptune_cli.formats.prompt import read
from ptune_cli.prompts.bank import Member, layout, slots
from ptune_cli.reports.learning_curve import draw
from ptune_cli.runs import RunFolder
from ptune_cli.training.best import prompt_folder

FILE = "results.json"


def written(folder: RunFolder) -> bool:
    """Whether the run is finished."""
    return (folder.path / FILE).is_file()


def write(
    folder: RunFolder,
    frozen: Frozen,
    bank: Sequence[Member],
    scorer: Scorer,
    splits: Mapping[tuple[str, str], Prepared],
    names: Mapping[str, str],
    best: Mapping[str, Mapping],
) -> None:
    """Score the best prompts and the baselines on the split `names["scored_on"]`; write results.json and learning_curve.png."""
    prompts = [read(prompt_folder(folder.path, member.name)).array for member in bank]
    table = jnp.concatenate([jnp.asarray(prompt) for prompt in prompts])
    found = {}
    for task in dict.fromkeys(member.task for member in bank):
        split, own = splits[task, names["scored_on"]], [member for member in bank if member.task == task]
        layouts = [lambda ids: ids] + [layout(m, s) for m, s in zip(bank, slots(bank), strict=True) if m.task == task]
        scored = f"{shown(task)} {names['scored_on']}: {len(split)} examples"
        print(f"scoring {scored}, without a prompt and with each of {len(own)}", file=sys.stderr)
        untuned, *scores = _both_protocols(scorer, frozen, table, layouts, split)
        rows = [{**scores[i], "member": m.name, "seed": m.seed, "best_step": best[m.name]["step"]} for i, m in enumerate(own)]
        for row in rows:
            row["prompt"] = str(prompt_folder(folder.path, row["member"]) / "prompt.safetensors")
            row["validation"] = best[row["member"]]["score"]
        found[task] = {
            "split": names["scored_on"],
            "splits": names,
            "n": len(split),
            "headline": split.headline,
            "majority": majority(splits[task, names["trained_on"]], split),
            "untuned": untuned,
            "prompts": rows,
        }
    draw(folder.path)
    folder.write_json(FILE, {"base_model": frozen.name, "base_fingerprint": frozen.fingerprint, "tasks": found})


def show(folder: RunFolder, as_json: bool) -> None:
    """Print results.json, as JSON or as one table per task."""
    content = json.loads((folder.path / FILE).read_text())
    if as_json:
        print(json.dumps(content, indent=2))
        return
    console = Console()
    for task, found in content["tasks"].items():
        console.print(_table(task, found))
    for found in content["tasks"].values():
        for row in found["prompts"]:
            console.print(f"{row['member']}: {row['prompt']}", highlight=False, soft_wrap=True)
    console.print(f"learning curve: {folder.path / 'learning_curve.png'}", highlight=False, soft_wrap=True)


def _both_protocols(scorer: Scorer, frozen: Frozen, table, layouts, split: Prepared) -> list[dict[str, float]]:
    out: list[dict[str, float]] = [{} for _ in layouts]
    protocols: list[Protocol] = ["greedy", "rank"] if split.labels else ["greedy"]
    for protocol, found in scorer(frozen.params, table, layouts, split, protocols).items():
        for row, scores in zip(out, found, strict=True):
            row.update({f"{protocol}_{name}": value for name, value in scores.metrics.items()})
            if protocol == "greedy":
                row["invalid"] = scores.invalid
    return out


def _table(task: str, found: Mapping) -> Table:
    """Metrics as columns; the baselines, each prompt, and the mean with its standard deviation as rows."""
    prompts = found["prompts"]
    columns = [name for name in prompts[0] if name.startswith(("greedy_", "rank_")) or name == "invalid"]
    title = f"{shown(task)}, {found['split']} split, {found['n']} examples (percent)"
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 0, 0, 1))  # fits 80 columns with five metrics
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column("invalid" if name == "invalid" else name.replace("_", "\n", 1), justify="right")
    majority = {f"{protocol}_{name}": value for protocol in ("greedy", "rank") for name, value in found["majority"].items()}
    table.add_row("majority class", *(f"{majority[name]:.1f}" if name in majority else "" for name in columns))
    table.add_row("no prompt", *(f"{found['untuned'][name]:.1f}" for name in columns), end_section=True)
    for row in prompts:
        table.add_row(f"{row['member']} (step {row['best_step']})", *(f"{row[name]:.1f}" for name in columns))
    if len(prompts) > 1:
        values = np.array([[row[name] for name in columns] for row in prompts])
        spread = zip(values.mean(axis=0), values.std(axis=0, ddof=1), strict=True)
        table.add_section()
        table.add_row(f"mean±std of {len(prompts)}", *(f"{mean:.1f}±{std:.1f}" for mean, std in spread))
    return table
