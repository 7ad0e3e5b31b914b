"""What `ptune prompts` finds, on the terminal. Texts come from files of strangers: nothing in them moves the cursor."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptune_cli.file_task import shown

COLUMNS = ("size", "task", "base model", "step", "scores", "KB", "format", "prompt")
LEFT = ("task", "base model", "scores", "format", "prompt")
NOT_SCORES = ("n", "invalid")
TOLD = ("base_model", "base_fingerprint", "length", "made", "recipe", "format", "scores")


def listing(found: Sequence[Mapping[str, Any]]) -> None:
    """A line for each prompt, and then those that cannot be read."""
    read = [row for row in found if "error" not in row]
    if not found:
        print("no prompts here")
    if read:
        _print(_table(COLUMNS, [_cells(row) for row in read], LEFT))
    for row in found:
        if "error" in row:
            print(f"cannot be read: {plain(row['error'])}")


def cards(found: Sequence[Mapping[str, Any]]) -> None:
    """All of each prompt, one after another."""
    for row in found:
        print("\n".join(map(plain, [*_card(row), *_made(row["made"]), *_recipe(row["metadata"])])))


def comparison(found: Mapping[str, Any]) -> None:
    """Two prompts, their rows, and the metadata that differ."""
    for name, row in zip("AB", found["prompts"], strict=True):
        print(plain(f"{name}: {row['path']}: {row['length']} rows of {row['width']}, base model {_base(row, 8) or 'not said'}"))
    if found["equal"]:
        print("the arrays are equal, bit for bit")
    else:
        _rows(found)
    for key, values in found["metadata"].items():
        print(plain(key))
        for name, value in zip("AB", values, strict=True):
            print("\n".join(plain(f"  {name}  {line}") for line in _text(value).splitlines() or ("",)))
    for note in found["notes"]:
        print(plain(note))


def made(found: Mapping[str, Any]) -> None:
    """What was written, and of what."""
    for row in found["made"]:
        parts = " + ".join(f"{part['weight']:.3g} {part['prompt']}" for part in row["of"])
        print(plain(f"{row['path']}: {row['length']} rows of {row['width']} = {parts}"))
    for note in found["notes"]:
        print(plain(note))


def plain(text: str) -> str:
    """A line without control characters."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _rows(found: Mapping[str, Any]) -> None:
    rows = found["rows"]
    for what in ("cosine", "distance"):
        s = found[what]
        print(f"{what} of {rows} rows: {s['least']:.4g} to {s['largest']:.4g}, {s['mean']:.4g} on average")
    cells = [
        [str(r["row"]), f"{r['cosine']:.4f}", f"{r['distance']:.4g}", *(f"{norm:.4g}" for norm in r["norms"])]
        for r in found["most_different"]
    ]
    if cells:
        _print(_table(("row", "cosine", "distance", "norm in A", "norm in B"), cells, ()))


def _card(row: Mapping[str, Any]) -> list[str]:
    size, norm = f"{row['length']} rows of {row['width']}, {row['dtype']}, {row['bytes']:,} bytes", row["norm"]
    facts = {
        "base model": _base(row, 64) or "not said",
        "scores": _scores(row["scores"]),
        "norms of rows": f"{norm['least']:.4g} to {norm['largest']:.4g}, {norm['mean']:.4g} on average",
        "sha256 of the values": row["sha256"],
        **{key: _text(value) for key, value in sorted(row["metadata"].items()) if key not in TOLD},
    }
    lines = [f"  {key}: {value}" for key, value in facts.items() if value]
    return [f"{row['path']}: {size} ({row['format']})", *lines, *(f"  {note}" for note in row["notes"])]


def _made(made: Any) -> list[str]:
    """Of what a prompt was made, as its file says it."""
    try:
        return [f"  {made['by']} of:", *(f"    {part['weight']:.4g} {part['prompt']}" for part in made["of"])]
    except (TypeError, KeyError, ValueError):  # made of nothing, or a stranger's entry
        return []


def _recipe(metadata: Mapping[str, Any]) -> list[str]:
    recipe = metadata.get("recipe")
    if not metadata:
        return ["  the file has the array alone: it does not say what it belongs to"]
    return ["  recipe:", *(f"    {line}" for line in recipe.splitlines())] if isinstance(recipe, str) else []


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str]) -> Table:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table


def _print(table: Table) -> None:
    """As wide as it is: a path that is cut cannot be copied."""
    widest = Console(width=10_000).measure(table).maximum
    Console(width=max(Console().width, widest)).print(table)


def _cells(row: Mapping[str, Any]) -> list[str]:
    task = row["task"]
    return [
        f"{row['length']} x {row['width']}",
        shown(task) if isinstance(task, str) else "",
        _base(row, 8),
        str(row["step"] if row["step"] is not None else ""),
        _scores(row["scores"]),
        f"{row['bytes'] / 1000:.1f}",
        row["format"],
        row["path"],
    ]


def _base(row: Mapping[str, Any], digits: int) -> str:
    name, mark = row["base_model"], row["base_fingerprint"]
    called = [Path(name).name if digits < 64 else name] if isinstance(name, str) else []
    return " ".join([*called, str(mark)[:digits] if mark else ""]).strip()


def _scores(scores: Any) -> str:
    if not isinstance(scores, Mapping):
        return ""
    numbers = {name: value for name, value in scores.items() if name not in NOT_SCORES and isinstance(value, int | float)}
    return ", ".join(f"{name} {value:.1f}" for name, value in numbers.items())


def _text(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
