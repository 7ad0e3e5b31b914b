"""Draws the losses of a size's runs: a panel for each objective, a colour for each run."""

import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from corpora import training_facts


def draw(panels: dict[str, list[pathlib.Path]], file: pathlib.Path) -> None:
    """Training and held-out loss by step of {title: runs} as a PNG."""
    figure, axes = plt.subplots(1, len(panels), figsize=(5.2 * len(panels), 3.8), layout="constrained", squeeze=False)
    for axis, (title, runs) in zip(axes[0], panels.items(), strict=True):
        for number, run in enumerate(runs):
            _run(axis, run, f"C{number}")
        axis.set(title=title, xlabel="step", ylabel="loss per target token")
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize="small")
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _run(axis, run: pathlib.Path, colour: str) -> None:
    rows = training_facts.metrics(run)
    training = [(row["step"], row["train/loss/model"]) for row in rows if "train/loss/model" in row]
    held_out = [(row["step"], row["validation/loss"]) for row in rows if "validation/loss" in row]
    axis.plot(*zip(*training, strict=True), color=colour, linewidth=0.9, alpha=0.45, label=f"{run.name}, one training batch")
    axis.plot(*zip(*held_out, strict=True), color=colour, linewidth=1.6, marker=".", label=f"{run.name}, held out")
