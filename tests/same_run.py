"""What two runs are compared by, of which one was interrupted: their prompts, bit for bit, and each row of metrics.jsonl."""

import json
from pathlib import Path

RATES = ("seconds", "examples_per_second", "tokens_per_second")


def prompts(run: Path) -> dict[str, bytes]:
    return {folder.name: (folder / "prompt.npy").read_bytes() for folder in (run / "prompts").iterdir()}


def metrics(run: Path) -> list[dict]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in RATES} for row in rows]


def starts(run: Path) -> int:
    return len(json.loads((run / "run.json").read_text())["starts"])


def step(run: Path) -> int:
    """The last step that a running run has logged; -1 before that."""
    file = run / "metrics.jsonl"
    lines = file.read_bytes().splitlines(keepends=True) if file.is_file() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith(b"\n")), default=-1)
