"""The paper's numbers, to set beside our own: never as results of ours. They are in paper.json, each table with its source."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

FILE = Path(__file__).with_name("paper.json")

Value = str | int | float | bool | list
Origin = Literal["memory", "derived", "repository"]


@dataclass(frozen=True)
class Table:
    """Numbers of one place in the paper, or in the original repository. Scores and their standard deviations are in percent."""

    name: str
    says: str  # what the numbers are of
    source: str  # "Table 1"
    origin: Origin  # how they came here; paper.json says it in words
    checked: bool  # whether they were compared with the source itself
    rows: tuple[Mapping[str, Value], ...]

    def where(self, **keys: Value) -> list[Mapping[str, Value]]:
        """The rows that have these values: `table("ensembles").where(task="CB", metric="f1")`."""
        return [row for row in self.rows if all(row.get(key) == value for key, value in keys.items())]

    @property
    def citation(self) -> str:
        """What stands beside a number that is shown: "Table 1 (from memory, not checked)"."""
        return self.source if self.checked else f"{self.source} ({ORIGINS[self.origin]}, not checked)"


ORIGINS: Mapping[Origin, str] = {"memory": "from memory", "derived": "derived", "repository": "read there"}


@cache
def tables() -> Mapping[str, Table]:
    """All tables by name, in the file's order."""
    found: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))["tables"]
    return {table["name"]: Table(**{**table, "rows": tuple(table["rows"])}) for table in found}


def table(name: str) -> Table:
    """One table. KeyError, with the names there are, for any other."""
    if name not in tables():
        raise KeyError(f"no table '{name}' (have: {', '.join(tables())})")
    return tables()[name]
