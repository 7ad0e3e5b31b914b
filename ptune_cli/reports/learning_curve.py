"""A run's learning curve, drawn from its metrics.jsonl alone."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from ptune_cli.formats.atomic import replacing

FIGURE = "learning_curve.png"


def draw(run: Path) -> Path:
    """Training loss and validation metrics of every member by step, as learning_curve.png in the run folder."""
    import matplotlib  # half a second, and the end of a run is the only place that draws

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    curves = read(run)
    panels = {name: members for name, members in curves.items() if name == "train/loss" or _is_score(name)}
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.6), layout="constrained", squeeze=False)
    for axis, (name, members) in zip(axes[0], panels.items(), strict=True):
        for member, points in members.items():
            axis.plot(*zip(*points, strict=True), label=member, marker="." if _is_score(name) else None, linewidth=1.2)
        axis.set_xlabel("step")
        axis.set_title(f"{name} (%)" if _is_score(name) else name)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][-1].legend(frameon=False, fontsize="small")
    with replacing(run / FIGURE) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
    plt.close(figure)
    return run / FIGURE


def read(run: Path) -> Mapping[str, Mapping[str, list[tuple[int, float]]]]:
    """{"validation/accuracy": {member: [(step, value)]}} of a run's metrics.jsonl."""
    curves: defaultdict[str, defaultdict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for key, value in row.items():
            if key.count("/") == 2 and value is not None:
                kind, name, member = key.split("/")
                curves[f"{kind}/{name}"][member].append((row["step"], value))
    return curves


def _is_score(name: str) -> bool:
    return name.startswith("validation/") and not name.endswith(("/n", "/invalid"))
