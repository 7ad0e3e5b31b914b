"""The paper's Figure 4, from our own sizes: the share of the parameters that is trained, for model tuning and prompt tuning.

Prefix tuning and WARP, which the paper draws too, are left out: we know of no sure source for their counts.
"""

from collections.abc import Sequence
from pathlib import Path

from ptune_cli.reports import panels
from ptune_cli.reports.parameters import Parameters, parameters
from ptune_cli.reports.report_figures import Picture

TITLE = "Trained parameters, as a share of T5 1.1"


def draw(folder: Path) -> Picture:
    """parameters.png and parameters.svg."""
    png, svg = panels.draw([(TITLE, parameters())], _panel, folder / "parameters", 7)
    return Picture(TITLE, png, svg)


def _panel(axis, found: Sequence[Parameters]) -> None:
    sizes = {row.model: row.size for row in found}
    axis.plot(list(sizes), [100] * len(sizes), "s-", color="tab:orange", label="model tuning")
    lengths = sorted({row.length for row in found}, reverse=True)
    for number, length in enumerate(lengths):
        rows = [row for row in found if row.length == length]
        label = f"prompt tuning, {length} row{'' if length == 1 else 's'}"
        shade = 1 - 0.7 * number / len(lengths)
        axis.plot([row.model for row in rows], [row.percent for row in rows], "o-", color="tab:blue", alpha=shade, label=label)
    axis.set(xscale="log", yscale="log", xlabel="model parameters", ylabel="trained parameters (%)")
    axis.minorticks_off()
    axis.set_xlim(min(sizes) / 1.5, max(sizes) * 25)  # room for the legend
    axis.set_xticks(list(sizes), [f"{size}\n{_count(count)}" for count, size in sizes.items()])
    axis.yaxis.set_major_formatter("{x:g}")


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"
