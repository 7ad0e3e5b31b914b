"""What a run found: every member beside the majority class and the model alone, as results.json and a table."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ptune_cli.base_model import Frozen
from ptune_cli.commands.experiment import Experiment, Row
from ptune_cli.evaluation.score import majority
from ptune_cli.file_task import shown
from ptune_cli.reports.learning_curve import FIGURE, draw
from ptune_cli.runs import RunFolder
from ptune_cli.t5.config import parameter_count

FILE = "results.json"
KEPT = ("prompt", "model", "design")  # where a member's row says what the run keeps of it


def written(folder: RunFolder) -> bool:
    """Whether the run is finished."""
    return (folder.path / FILE).is_file()


def write(folder: RunFolder, experiment: Experiment, frozen: Frozen, found: Mapping[str, tuple[Row, Sequence[Row]]]) -> None:
    """Put the scores beside the majority class's; write results.json and, if anything was trained, learning_curve.png."""
    names, tasks = experiment.settings.split_names(), {}
    for task, (untuned, rows) in found.items():
        split = experiment.scored(task)
        tasks[task] = {
            "split": names["scored_on"],
            "splits": names,
            "n": len(split),
            "headline": split.headline,
            "majority": majority(experiment.training(task), split),
            "untuned": untuned,
            "members": rows,
        }
    if (folder.path / "metrics.jsonl").is_file():
        draw(folder.path)
    content = {
        "method": experiment.settings.method,
        "protocol": experiment.settings.protocol,
        "base_model": frozen.name,
        "base_fingerprint": frozen.fingerprint,
        "parameters": parameter_count(frozen.config),
        "tasks": tasks,
    }
    if mixture := experiment.mixture():
        content["mixture"] = mixture
    folder.write_json(FILE, content)


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
        for row in found["members"]:
            place = next(row[kind] for kind in KEPT if kind in row)
            console.print(f"{row['member']}: {place}", highlight=False, soft_wrap=True)
    if (folder.path / FIGURE).is_file():
        console.print(f"learning curve: {folder.path / FIGURE}", highlight=False, soft_wrap=True)


def _table(task: str, found: Mapping) -> Table:
    """Metrics as columns; the baselines, each member, and the mean with its standard deviation as rows."""
    members = found["members"]
    columns = [name for name in members[0] if name.startswith(("greedy_", "rank_")) or name == "invalid"]
    title = f"{shown(task)}, {found['split']} split, {found['n']} examples (percent)"
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 0, 0, 1))  # fits 80 columns with five metrics
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column("invalid" if name == "invalid" else name.replace("_", "\n", 1), justify="right")
    majority = {f"{protocol}_{name}": value for protocol in ("greedy", "rank") for name, value in found["majority"].items()}
    table.add_row("majority class", *(f"{majority[name]:.1f}" if name in majority else "" for name in columns))
    table.add_row("no prompt", *(f"{found['untuned'][name]:.1f}" for name in columns), end_section=True)
    for row in members:
        step = f" (step {row['best_step']})" if "best_step" in row else ""
        table.add_row(f"{row['member']}{step}", *(f"{row[name]:.1f}" for name in columns))
    if len(members) > 1:
        values = np.array([[row[name] for name in columns] for row in members])
        spread = zip(values.mean(axis=0), values.std(axis=0, ddof=1), strict=True)
        table.add_section()
        table.add_row(f"mean±std of {len(members)}", *(f"{mean:.1f}±{std:.1f}" for mean, std in spread))
    return table
