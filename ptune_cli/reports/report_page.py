"""A report as one HTML page: tables, pictures, deviations, what a prompt is of a T5, and the paper's numbers beside ours."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ptune_cli.file_task import shown
from ptune_cli.reports import ensembles, ensembles_beside, page, paper, report_cells, spread, tables
from ptune_cli.reports.ensembles import Ensemble
from ptune_cli.reports.ensembles_beside import EnsembleBeside
from ptune_cli.reports.paper_beside import Beside, beside
from ptune_cli.reports.parameters import LENGTHS, Parameters, parameters
from ptune_cli.reports.report_figures import Picture
from ptune_cli.reports.report_files import Found
from ptune_cli.reports.report_lines import Section

BESIDE = ("", "metric", "ours", "seeds", "base model", "task", "line", "the paper's")


@dataclass(frozen=True)
class Content:
    """What the page shows. `scores` are pictures of the sections, `share` is that of the parameters."""

    found: Found
    scores: Sequence[Picture]
    share: Picture


def write(content: Content, file: Path) -> Path:
    """Write the page; returns where. UserError where it cannot be written."""
    found = content.found
    body = ["<h1>Report</h1>", *_summary(found)]
    for number, section in enumerate(found.sections):
        body += _task(section, number, found.recipe)
    body += [*_ensembles(found.ensembles), *_scores(content.scores)]
    body += [*_paper(found.sections, found.ensembles), *_parameters(content.share)]
    return page.write("ptune report", body, file)


def _summary(found: Found) -> Iterator[str]:
    runs = {run for section in found.sections for line in section.lines for run in line.runs}
    links = (f'<a href="#task-{number}">{escape(shown(own.task))}</a>' for number, own in enumerate(found.sections))
    yield (
        f"<p>{len(runs)} run{'' if len(runs) == 1 else 's'} of {', '.join(links)}. Runs that differ in their seeds alone are one "
        "line; a column is a setting in which lines of a task differ. Deviations are from "
        f"{escape(found.recipe)}. “Untuned” is the base model alone, “majority” the training split's most frequent answer.</p>"
    )
    if found.left_out:
        items = "".join(f"<li>{escape(f'{own.folder}: {own.why}')}</li>" for own in found.left_out)
        yield f'<p>Left out:</p><ul class="note">{items}</ul>'


def _scores(pictures: Sequence[Picture]) -> Iterator[str]:
    if pictures:
        yield "<h2>Pictures</h2>"
        yield "<p>Error bars are the sample standard deviation over seeds; “model alone” is the base model with no prompt.</p>"
    for own in pictures:
        yield f"<h3>{escape(own.title)}</h3>{_picture(own)}"


def _task(section: Section, number: int, recipe: str) -> Iterator[str]:
    yield f'<h2 id="task-{number}">{escape(report_cells.title(section))}</h2>'
    yield _table(report_cells.cells(section), report_cells.names(section))
    yield f'<p class="note">{report_cells.SCORES}</p>'
    found = report_cells.deviations(section)
    yield f"<h3>Deviations from {escape(recipe)}</h3>{'' if found else '<p>None.</p>'}"
    if found:
        yield _table([report_cells.DEVIATIONS, *found], report_cells.DEVIATIONS, long=(1, 3))


def _ensembles(found: Sequence[Ensemble]) -> Iterator[str]:
    if found:
        yield f"<h2>{ensembles.TITLE}</h2>"
        yield _table(ensembles.cells(found), ensembles.NAMES)
        yield f'<p class="note">{ensembles.NOTE}</p>'


def _paper(sections: Sequence[Section], together: Sequence[Ensemble]) -> Iterator[str]:
    yield "<h2>Beside the paper</h2>"
    cells: dict[str, list[list[str]]] = {}
    for line in beside(sections):
        cells.setdefault(line.table.name, []).append(_beside(line))
    for own in ensembles_beside.beside(together):
        cells.setdefault(own.table.name, []).append(_ensemble_beside(own))
    if not cells:
        yield "<p>The paper and its repository give no number for a task, metric and method of these runs.</p>"
        return
    yield (
        "<p>The last column is not measured here. Its numbers are of other base models than ours may be, as each heading says: "
        "what they have in common with the line beside them is the task, the metric and the method.</p>"
    )
    for name, lines in cells.items():
        table = paper.table(name)
        yield f"<h3>{escape(_first_capital(table.says))}</h3>"
        yield _table([BESIDE, *lines], {*BESIDE} - {"ours", "seeds", "line"}, long=(7,))
        yield f'<p class="note">{escape(f"The paper’s: {paper.cited(table)}")}</p>'


def _beside(own: Beside) -> list[str]:
    ours = (spread.text(own.scores), str(len(own.scores)), own.line.base_model, shown(own.section.task), f"#{own.number}")
    return [own.named, own.metric, *ours, f"{own.said} ({own.table.citation})"]


def _ensemble_beside(own: EnsembleBeside) -> list[str]:
    wanted, found = own.wanted, own.ensemble
    ours = (own.ours, str(len(found.members)), found.base_model, shown(found.task), f"ensemble #{own.number}")
    return [wanted.named, wanted.metric, *ours, f"{wanted.said} ({own.table.citation})"]


def _parameters(share: Picture) -> Iterator[str]:
    rows = parameters()
    yield f"<h2>{escape(share.title)}</h2>"
    yield (
        "<p>Computed from the sizes in gin/models, for prompts of 1 to 150 rows (the paper's Figure 4 and Table 4). Prefix "
        "tuning and WARP, which the paper draws too, are left out: we know of no sure source for their counts.</p>"
    )
    yield _picture(share)
    models = {row.size: f"{row.model:,}" for row in rows}
    lengths = [[_length(length), *(_count(row) for row in rows if row.length == length)] for length in LENGTHS]
    yield _table([["T5 1.1", *models], ["the model", *models.values()], *lengths], ("T5 1.1",))
    yield '<p class="note">Parameters of the prompt, and their share of prompt and model together.</p>'


def _length(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}"


def _count(row: Parameters) -> str:
    return f"{row.prompt:,} ({row.percent:.5f}%)"


def _picture(own: Picture) -> str:
    return page.picture(own.svg.read_text(encoding="utf-8"), own.title)


def _table(cells: tables.Cells, names: Iterable[str], long: Sequence[int] = ()) -> str:
    """The columns `names` to the left, others to the right; those at the places `long` may be broken."""
    header, *body = cells
    kinds = ["long" if place in long else "" if column in names else "n" for place, column in enumerate(header)]
    lines = []
    for line in body:
        lines.append(
            "<tr>" + "".join(f'<td class="{kind}">{escape(cell)}</td>' for kind, cell in zip(kinds, line, strict=True)) + "</tr>"
        )
    return page.table(header, lines, {column for column, kind in zip(header, kinds, strict=True) if kind == "n"})


def _first_capital(text: str) -> str:
    return text[:1].upper() + text[1:]
