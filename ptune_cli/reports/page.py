"""What the HTML pages have in common: one style, tables, pictures inside the page. No page needs another file or a script."""

import base64
from collections.abc import Collection, Iterable, Sequence
from html import escape
from pathlib import Path

from ptune_cli.formats.atomic import write_atomically

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 90rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 3rem; border-top: 1px solid #ddd; padding-top: 1rem; }
p, li { max-width: 50rem; } .note { color: #777; } img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 2px 10px; text-align: left; white-space: nowrap; border-bottom: 1px solid #eee; }
th { border-bottom: 1px solid #999; font-weight: 600; white-space: normal; vertical-align: bottom; }
.n { text-align: right; } .s { color: #666; font-size: 12px; }
td.long { white-space: normal; min-width: 18rem; }
.label { background: #d9f2d9; border-radius: 3px; padding: 0 4px; margin-right: 4px; }
"""


def write(title: str, body: Iterable[str], file: Path) -> Path:
    """Write the page; returns where. UserError where it cannot be written."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    start = f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head><body>'
    write_atomically(file, "\n".join([start, *body, "</body></html>\n"]).encode())
    return file


def table(columns: Sequence[str], lines: Iterable[str], numbers: Collection[str]) -> str:
    """A table of lines that are HTML already ("<tr>...</tr>"); the columns `numbers` have their names on the right."""
    places = [' class="n"' if name in numbers else "" for name in columns]
    names = [escape(name).replace(".", ".<wbr>") for name in columns]  # a setting's long name is broken behind a dot
    head = "".join(f"<th{place}>{name}</th>" for place, name in zip(places, names, strict=True))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def numbers(values: Iterable[object]) -> str:
    """Cells on the right."""
    return "".join(f'<td class="n">{escape(str(value))}</td>' for value in values)


def picture(svg: str, words: str) -> str:
    """An SVG file's text as an image in the page; `words` are for those who do not see it."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{escape(words)}" src="data:image/svg+xml;base64,{data}">'
