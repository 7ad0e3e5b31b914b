"""A table of text cells, of which the first line is the header, for a file and for the terminal."""

from collections.abc import Collection, Sequence

from rich.box import SIMPLE
from rich.table import Table

Cells = Sequence[Sequence[str]]
NUMBER, NAME, HEADER = 10, 24, 3  # letters that are never broken: 100.0±10.0, optimizer.learning_rate, the start of a header
GAP = 2  # between columns
LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$"},
}
FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}"  # a wide table is made as narrow as the page


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


def latex_float(caption: str, tabulars: Sequence[str]) -> str:
    """A table with its caption, of one tabular below the other."""
    body = "\n\n\\medskip\n".join(f"{FITTED}{{{one}}}" for one in tabulars)
    start = [r"\begin{table}", r"\centering\footnotesize", rf"\caption{{{latex_text(caption)}}}"]
    return "\n".join([*start, body, r"\end{table}"])


def latex_text(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(LATEX.get(letter, letter) for letter in text)


def shared(cells: Cells, columns: Collection[str]) -> tuple[str, list[list[str]]]:
    """What can stand above a table on a narrow terminal: those of `columns` that are the same in all lines; and the rest."""
    whole = list(zip(*cells, strict=True))
    same = [column[0] in columns and len(set(column[1:])) == 1 for column in whole]
    above = ", ".join(f"{column[0]} {column[1]}" for column, told in zip(whole, same, strict=True) if told and column[1])
    left = zip(*(column for column, told in zip(whole, same, strict=True) if not told), strict=True)
    return above, [list(line) for line in left]


def terminal(cells: Cells, names: Collection[str], width: int) -> Table:
    """The table as rich prints it on `width` columns: the columns `names` to the left, numbers to the right.

    Where it is too wide, headers of numbers are broken, and cells of more than NUMBER letters, of `names` of more than NAME.
    """
    header = [column.replace(", ", "\n") for column in cells[0]]
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for name, space in zip(header, _widths([header, *cells[1:]], names, width), strict=True):
        table.add_column(name, justify="left" if name in names else "right", overflow="fold", width=space)
    for line in cells[1:]:
        table.add_row(*line)
    return table


def _widths(cells: Cells, names: Collection[str], width: int) -> list[int]:
    """Letters of each column: as many as it needs, less where the widest can be broken to fit; names only if they must."""
    columns = list(zip(*cells, strict=True))
    found = [max(len(line) for cell in column for line in cell.split("\n")) for column in columns]
    least = [_least(column, column[0] in names) for column in columns]
    for of_names in (False, True):
        broken = [place for place, column in enumerate(columns) if (column[0] in names) == of_names]
        while sum(found) > width - GAP * len(columns) - 1 and (spare := [i for i in broken if found[i] > least[i]]):
            found[max(spare, key=found.__getitem__)] -= 1
    return found


def _least(column: Sequence[str], is_name: bool) -> int:
    """Letters that stay together: a name's longest word, a whole number and some of its header."""
    if is_name:
        return min(max(len(word) for cell in column for word in cell.split() or [""]), NAME)
    return min(max(HEADER if len(column[0]) > HEADER else len(column[0]), *map(len, column[1:])), NUMBER)


def is_wide(cells: Cells, width: int) -> bool:
    """Whether the table takes more than `width` columns unless something in it is broken."""
    return sum(_widths(cells, (), 10**6)) > width - GAP * len(cells[0]) - 1
