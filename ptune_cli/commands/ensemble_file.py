"""What `ptune ensemble` found of a task, kept in the run's folder as a file that `ptune report` reads."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ptune_cli.commands import trained
from ptune_cli.commands.trained import Trained
from ptune_cli.data.prepared import Prepared
from ptune_cli.evaluation.predict import Protocol
from ptune_cli.file_task import short_name
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.reports.run_folders import ENSEMBLES

Rows = Mapping[str, Mapping[str, float]]


def write(prompts: Sequence[Trained], task: str, split_name: str, split: Prepared, protocol: Protocol, rows: Rows) -> Path | None:
    """Write it to the run of the first prompt that is of a run; the same prompts, task, split and protocol to the same file.

    None, and nothing is written, if no prompt is of a run, or if the split's answers are hidden.
    """
    runs = [run for prompt in prompts if (run := trained.run_folder(prompt))]
    if not runs or not set(split.headline) <= set(rows["average"]):
        return None
    names = [prompt.member.name for prompt in prompts]
    which = hashlib.sha256(json.dumps([task, sorted(names)]).encode()).hexdigest()[:8]
    file = runs[0] / ENSEMBLES / f"{short_name(task)}-{split_name}-{protocol}-{which}.json"
    content = {
        "task": task,
        "split": split_name,
        "protocol": protocol,
        "headline": list(split.headline),
        "n": len(split),
        "trained_on": sorted({prompt.member.task for prompt in prompts}),
        "base_model": prompts[0].file.metadata.get("base_model", ""),
        "members": {name: rows[name] for name in names},
        **{name: row for name, row in rows.items() if name not in names},
    }
    write_atomically(file, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    return file
