"""The pictures of `ptune inspect`, each as the text of an SVG file: similarity, norms, projection."""

import io
import math
import warnings
from collections.abc import Callable
from contextlib import contextmanager

from ptune_cli.reports.inspect_results import Inspection, PromptFound

NUMBERED = 12  # prompts up to which a heat map has numbers in its cells
NAMED = 25  # pieces that a panel of the projection names, the ones with most rows first


def similarity(found: Inspection) -> str:
    """Two heat maps of every prompt against every prompt."""
    size = max(3.2, 0.55 * len(found.names) + 1.6)
    with _figure(1, 2, (2 * size + 1.4, size)) as (figure, axes, svg):
        for axis, name, values in ((axes[0], "row by row", found.row_by_row), (axes[1], "best match", found.best_match)):
            image = axis.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
            axis.set_title(name)
            axis.set_xticks(range(len(values)), range(len(values)))
            axis.set_yticks(range(len(values)), range(len(values)))
            for i, row in enumerate(values if len(values) <= NUMBERED else ()):
                for j, value in enumerate(row):
                    axis.text(j, i, f"{value:.2f}", ha="center", va="center", color="w" if abs(value) > 0.6 else "k", fontsize=8)
        axes[0].set_yticks(range(len(found.names)), [f"{i} {name}" for i, name in enumerate(found.names)], parse_math=False)
        figure.colorbar(image, ax=axes, label="mean cosine similarity", shrink=0.8)
        return svg()


def norms(found: Inspection, prompt: PromptFound) -> str:
    """Each row's norm beside the vocabulary's, above its similarity to its nearest piece and to what it was."""
    numbers = range(len(prompt.rows))
    mean, std = found.embedding_norm
    with _figure(2, 1, (8, 4.2), sharex=True) as (_, axes, svg):
        axes[0].bar(numbers, [row.norm for row in prompt.rows], color="tab:blue")
        axes[0].axhspan(mean - std, mean + std, color="tab:orange", alpha=0.3, linewidth=0)
        axes[0].axhline(mean, color="tab:orange", label="embeddings of the vocabulary, mean ± std")
        axes[0].set_ylabel("norm")
        axes[0].set_ylim(0, 1.25 * axes[0].get_ylim()[1])  # room for the legend
        axes[1].plot(numbers, [row.neighbours[0].similarity for row in prompt.rows], "o-", label="to the nearest piece")
        if prompt.initial is not None:
            axes[1].plot(numbers, [row.initial for row in prompt.rows], "s-", label="to the initial prompt")
        axes[1].set(ylabel="cosine similarity", xlabel="row", ylim=(min(0, axes[1].get_ylim()[0]), 1.05))
        axes[1].xaxis.get_major_locator().set_params(integer=True)
        for axis in axes:
            _plain(axis)
            axis.legend(frameon=False, fontsize="small")
        return svg()


def projection(found: Inspection) -> str:
    """A panel for each prompt, all on the same two axes: its rows, all others in grey, and the pieces nearest to its rows."""
    columns = min(len(found.prompts), 2)
    lines = math.ceil(len(found.prompts) / columns)
    everywhere = [row.at for prompt in found.prompts for row in prompt.rows]
    with _figure(lines, columns, (5.6 * columns, 4.8 * lines), sharex=True, sharey=True) as (figure, axes, svg):
        for axis, name, prompt in zip(axes, found.names, found.prompts, strict=False):
            axis.scatter(*zip(*everywhere, strict=True), s=14, color="0.85")
            axis.scatter(*zip(*(row.at for row in prompt.rows), strict=True), s=26, color="tab:blue", label="rows")
            _pieces(axis, found, prompt)
            axis.set_title(name, fontsize="medium", parse_math=False)
            axis.tick_params(labelbottom=True)
            _plain(axis)
        for axis in axes[len(found.prompts) :]:
            axis.set_visible(False)
        axes[0].legend(frameon=False, fontsize="small")
        figure.supxlabel(f"first component ({found.explained[0]:.0%} of the variance)", fontsize="medium")
        figure.supylabel(f"second component ({found.explained[1]:.0%})", fontsize="medium")
        return svg()


def _pieces(axis, found: Inspection, prompt: PromptFound) -> None:
    """The nearest pieces where they are, with a thin line to each row that is nearest to them."""
    for piece, rows in prompt.by_nearest.items():
        for row in rows:
            axis.plot(*zip(prompt.rows[row].at, found.pieces[piece], strict=True), color="tab:orange", linewidth=0.5, alpha=0.6)
    places = [found.pieces[piece] for piece in prompt.by_nearest]
    axis.scatter(*zip(*places, strict=True), s=18, marker="^", color="tab:orange", label="nearest pieces")
    for piece in list(prompt.by_nearest)[:NAMED]:
        place = found.pieces[piece]
        axis.annotate(piece, place, (3, 3), textcoords="offset points", fontsize=7, color="0.25", parse_math=False)


def _plain(axis) -> None:
    axis.grid(alpha=0.3)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


@contextmanager
def _figure(lines: int, columns: int, size: tuple[float, float], **options):
    """(figure, its axes in one row, a function that draws it as SVG); closed at the end."""
    import matplotlib  # half a second, and only the page draws

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(lines, columns, figsize=size, layout="constrained", squeeze=False, **options)
    try:
        yield figure, axes.ravel(), _drawing(figure)
    finally:
        plt.close(figure)


def _drawing(figure) -> Callable[[], str]:
    def svg() -> str:
        out = io.StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # a piece in a script that the font lacks is a box; the tables have it
            figure.savefig(out, format="svg", metadata={"Date": None})
        return out.getvalue()

    return svg
