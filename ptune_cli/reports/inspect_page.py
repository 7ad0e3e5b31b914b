"""What `ptune inspect` finds, as one HTML page that needs nothing else: pictures are in it, there is no script."""

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path

from ptune_cli.file_task import shown
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.reports import inspect_figures
from ptune_cli.reports.inspect_results import Inspection, Neighbour, PromptFound, PromptRow
from ptune_cli.reports.inspect_table import facts, title

NUMBERS = {"row", "rows", "norm", "to initial", "different nearest pieces", "labels near"}  # columns that line up on the right
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 3rem; border-top: 1px solid #ddd; padding-top: 1rem; }
p, li { max-width: 50rem; } .note { color: #777; } img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 2px 10px; text-align: left; white-space: nowrap; border-bottom: 1px solid #eee; }
th { border-bottom: 1px solid #999; font-weight: 600; } .n { text-align: right; } .s { color: #666; font-size: 12px; }
.label { background: #d9f2d9; border-radius: 3px; padding: 0 4px; margin-right: 4px; }
"""


def write(found: Inspection, file: Path) -> Path:
    """Write the page; returns where. UserError where it cannot be written."""
    write_atomically(file, page(found).encode())
    return file


def page(found: Inspection) -> str:
    """The page's HTML."""
    several = len(found.prompts) > 1
    body = [
        f"<h1>What {'these prompts are' if several else 'this prompt is'} close to</h1>",
        f"<p>Base model {escape(found.base_model)}. Nearness is cosine similarity to the frozen embeddings of the "
        f"{found.vocabulary_size:,} pieces of its vocabulary; ▁ is the space before a word.</p>",
        _summary(found),
        *(_similarity(found) if several else ()),
        "<h2>Projection</h2>",
        "<p>The first two principal components of the directions of all rows and their nearest pieces; a line joins a row to "
        f"its nearest piece.{' Rows of the other prompts are grey.' if several else ''}</p>",
        _picture(inspect_figures.projection(found), "rows and their nearest pieces in two dimensions"),
        *(part for number, prompt in enumerate(found.prompts) for part in _prompt(found, number, prompt)),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>ptune inspect</title><style>{STYLE}'
    return "\n".join([f'<!doctype html>\n<html lang="en"><head>{head}</style></head><body>', *body, "</body></html>\n"])


def _similarity(found: Inspection) -> Iterable[str]:
    yield "<h2>Similarity between prompts</h2>"
    yield (
        "<p>Row by row: mean cosine similarity of row i to row i. Best match: of each row to the most similar row of the other "
        "prompt, which takes no note of order. Prompts of the same seed begin with many of the same sampled words, whatever "
        "their task, and keep some of that.</p>"
    )
    yield _picture(inspect_figures.similarity(found), "similarity of every prompt to every prompt")


def _summary(found: Inspection) -> str:
    """A row for each prompt, which leads to its part of the page."""
    columns = ("", "prompt", "task", "rows", "norm", "to initial", "different nearest pieces", "labels near")
    lines = []
    for number, prompt in enumerate(found.prompts):
        near = "" if not prompt.labels else f"{sum(map(bool, prompt.labels.values()))} of {len(prompt.labels)}"
        link = f'<a href="#prompt-{number}">{escape(found.names[number])}</a>'
        values = (len(prompt.rows), f"{prompt.norm:.1f}", _number(prompt.initial), len(prompt.by_nearest), near)
        words = f"<td>{number}</td><td>{link}</td><td>{escape(shown(prompt.task))}</td>"
        lines.append(f"<tr>{words}{_numbers(values)}</tr>")
    return _table(columns, lines)


def _prompt(found: Inspection, number: int, prompt: PromptFound) -> Iterable[str]:
    yield f'<h2 id="prompt-{number}">{escape(title(found.names[number], prompt))}</h2>'
    yield f'<p class="note">{escape(prompt.path)}</p>'
    yield f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in facts(found, prompt))}</ul>"
    yield _picture(inspect_figures.norms(found, prompt), "norm and similarity of each row")
    columns = ("row", "norm", "to initial", "labels", "nearest piece", *("next",) * (found.k - 1))
    yield _table(columns, [_row(prompt, number, row) for number, row in enumerate(prompt.rows)])


def _row(prompt: PromptFound, number: int, row: PromptRow) -> str:
    labels = [label for label, sightings in (prompt.labels or {}).items() if any(s.row == number for s in sightings)]
    marks = "".join(f'<span class="label">{escape(label)}</span>' for label in labels)
    numbers = _numbers((number, f"{row.norm:.1f}", _number(row.initial)))
    return f"<tr>{numbers}<td>{marks}</td>{''.join(map(_neighbour, row.neighbours))}</tr>"


def _neighbour(near: Neighbour) -> str:
    shade = f"background: rgba(31, 119, 180, {0.6 * max(near.similarity, 0):.2f})"
    piece = escape(near.piece).replace("▁", '<span class="s">▁</span>')
    return f'<td style="{shade}">{piece} <span class="s">{near.similarity:.2f}</span></td>'


def _table(columns: Iterable[str], lines: Iterable[str]) -> str:
    head = "".join(f'<th class="n">{name}</th>' if name in NUMBERS else f"<th>{name}</th>" for name in columns)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _numbers(values: Iterable[object]) -> str:
    return "".join(f'<td class="n">{value}</td>' for value in values)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _picture(svg: str, words: str) -> str:
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{words}" src="data:image/svg+xml;base64,{data}">'
