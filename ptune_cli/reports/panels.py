"""Pictures of one panel or more, side by side, as PNG and SVG files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ptune_cli.formats.atomic import replacing

Content = TypeVar("Content")


def draw(
    panels: Sequence[tuple[str, Content]], panel: Callable[[Any, Content], None], stem: Path, width: float = 6
) -> list[Path]:
    """Fill a panel for each (title, content) by `panel(axis, content)`; write `stem`.png and .svg, and return both.

    `width` is a panel's, in inches.
    """
    import matplotlib  # half a second, and only the end of a command draws

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text, which an editor or a search finds
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(panels), figsize=(width * len(panels), 4.2), layout="constrained", squeeze=False)
    for axis, (title, content) in zip(axes[0], panels, strict=True):
        panel(axis, content)
        axis.set_title(title)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize="small")
    files = [stem.with_suffix(f".{kind}") for kind in ("png", "svg")]
    for file in files:
        with replacing(file) as temporary:
            figure.savefig(temporary, dpi=150, format=file.suffix[1:])
    plt.close(figure)
    return files
