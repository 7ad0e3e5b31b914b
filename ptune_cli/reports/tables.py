"""A table of text cells, of which the first line is the header, for a file and for the terminal."""

from collections.abc import Collection, Sequence

from rich.box import SIMPLE
from rich.table import Table

Cells = Sequence[Sequence[str]]
NUMBER = 10  # letters of a number at most: 100.0±10.0
LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$"},
}


def markdown(cells: Cells) -> str:
    """The table as Markdown."""
    header, *body = cells
    lines = [header, ["---"] * len(header), *body]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def latex(cells: Cells, names: Collection[str]) -> str:
    """The table as a LaTeX tabular with booktabs' rules: the columns `names` to the left, numbers to the right."""
    header, *body = cells
    places = "".join("l" if column in names else "r" for column in header)
    head, *lines = (" & ".join(map(latex_text, line)) + r" \\" for line in (header, *body))
    return "\n".join(
        [rf"\begin{{tabular}}{{{places}}}", r"\toprule", head, r"\midrule", *lines, r"\bottomrule", r"\end{tabular}"]
    )


def latex_text(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(LATEX.get(letter, letter) for letter in text)


def terminal(cells: Cells, names: Collection[str]) -> Table:
    """The table as rich prints it: the columns `names` to the left and whole, numbers to the right.

    Where it is too wide, what is broken is the names of the other columns, and cells of more than NUMBER letters.
    """
    header, *body = cells
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for place, column in enumerate(header):
        least = min(max((len(line[place]) for line in body), default=0), NUMBER)
        side = "left" if column in names else "right"
        table.add_column(column.replace(", ", "\n"), justify=side, no_wrap=column in names, overflow="fold", min_width=least)
    for line in body:
        table.add_row(*line)
    return table
