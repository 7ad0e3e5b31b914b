"""What `benchmarks/accelerator.py` measured, as tables."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

Line = dict[str, Any]
SHOWN = 16  # parts of the network
NAMED = ("size", "members", "way", "rows", "positions", "microbatches")
NUMBERS = (
    ("s/step", "seconds", lambda x: f"{x:.4f}"),
    ("examples/s", "examples_per_second", lambda x: f"{x:.1f}"),
    ("TFLOP/s", "operations_per_second", lambda x: f"{x / 1e12:.1f}"),
    ("product", "rate", lambda x: f"{x / 1e12:.1f}"),
    ("share", "share", lambda x: f"{x:.1%}"),
    ("of stated", "stated_share", lambda x: f"{x:.1%}"),
    ("XLA's", "xla_share", lambda x: f"{x:.1%}"),
    ("peak GB", "peak_bytes", lambda x: f"{x / 1e9:.2f}"),
    ("compile s", "compile_seconds", lambda x: f"{x:.1f}"),
)
ATTENTION = (
    ("forward ms", "forward_ms", lambda x: f"{x:.3f}"),
    ("both ms", "both_ms", lambda x: f"{x:.3f}"),
    ("error", "error_of_result", lambda x: f"{x:.1e}"),
    ("error of dq", "error_of_query_gradient", lambda x: f"{x:.1e}"),
)


def tables(found: Sequence[Line]) -> Iterator[Table]:
    """Of all steps, of attention, and of what each traced step spends its time on."""
    yield _table([line for line in found if line["part"] != "attention"], NUMBERS)
    if attention := [line for line in found if line["part"] == "attention"]:
        yield _table(attention, ATTENTION)
    for line in found:
        if "kinds" in line.get("trace", {}):
            yield _shares(line)


def _table(found: Sequence[Line], numbers: Sequence[Any]) -> Table:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("part", no_wrap=True)
    table.add_column("of")
    for heading, _, _ in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for line in found:
        named = ", ".join(f"{name} {line[name]}" for name in NAMED if line.get(name) is not None)
        if "error" in line:
            table.add_row(line["part"], f"{named} {line['error'][:200]}")
        else:
            table.add_row(line["part"], named, *(_number(line.get(key), shown) for _, key, shown in numbers))
    return table


def _number(value: float | None, shown: Any) -> str:
    return "-" if value is None else shown(value)


def _shares(line: Line) -> Table:
    """Of one traced step: kinds of kernels, parts of the network, and single kernels."""
    trace = line["trace"]
    title = f"{line['size']}, microbatches of {line['rows'] // line['microbatches']} rows: {trace['step_ms']:.1f} ms a step"
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), title=f"{title}, idle {trace['idle']:.1%}", title_justify="left")
    for heading, width in (("kernels", 28), ("part of the network", 36), ("longest kernels", 40)):
        table.add_column(heading, overflow="ellipsis", no_wrap=True, max_width=width)
        table.add_column("", justify="right", no_wrap=True, min_width=5)
    longest = {f"{kernel['name'][:34]} ({kernel['part']})": kernel["share"] for kernel in trace["longest"]}
    columns = [list(shares.items())[:SHOWN] for shares in (trace["kinds"], trace["parts"], longest)]
    for i in range(max(map(len, columns))):
        cells = [(column[i][0], f"{column[i][1]:.1%}") if i < len(column) else ("", "") for column in columns]
        table.add_row(*(cell for pair in cells for cell in pair))
    return table
