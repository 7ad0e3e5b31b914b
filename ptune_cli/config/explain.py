"""`--explain`: each value of a configuration and where it was set."""

import json
from typing import Any

from ptune_cli.config.resolving import Resolved, Row
from ptune_cli.gin_text import shown


def table(resolved: Resolved) -> str:
    """One aligned line for each value: name, value, where it was set and, if it replaced another, where that was set."""
    cells = [(row.name, shown(row.value), _where(row)) for row in resolved.rows]
    widths = [max((len(cell[i]) for cell in cells), default=0) for i in (0, 1)]
    widths = [min(widths[0], 40), min(widths[1], 50)]
    lines = [f"{name:<{widths[0]}}  {value:<{widths[1]}}  {where}" for name, value, where in cells]
    return "\n".join([*lines, *(f"not used: {name}" for name in resolved.unused)])


def as_json(resolved: Resolved) -> str:
    """The same for programs: {"values": [{"name", "value", "set_by", "replaces"}, ...], "unused": [...], "config": gin text}.

    An object's value is the name of its class.
    """
    values = [
        {"name": row.name, "value": _plain(row.value), "set_by": row.origin, "replaces": row.replaces or None}
        for row in resolved.rows
    ]
    return json.dumps({"values": values, "unused": resolved.unused, "config": resolved.text}, indent=1)


def _where(row: Row) -> str:
    return f"{row.origin} (was set in {row.replaces})" if row.replaces else row.origin


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else shown(value)
