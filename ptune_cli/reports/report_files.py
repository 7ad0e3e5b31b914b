"""A report as Markdown, LaTeX, CSV and JSON. None of them has a number that is not of the runs."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptune_cli.file_task import shown
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.reports import ensembles, report_cells, spread, tables
from ptune_cli.reports.ensembles import Ensemble
from ptune_cli.reports.report_lines import ABSENT, Line, Section, value_of
from ptune_cli.reports.run_folders import LeftOut

LATEX = r"""% A table for each task. A document with the packages standalone, booktabs and graphicx can \input this file.
\documentclass{{article}}
\usepackage[T1]{{fontenc}}
\usepackage[landscape,margin=1cm]{{geometry}}
\usepackage{{booktabs}}
\usepackage{{graphicx}}
\begin{{document}}
{}
\end{{document}}
"""


@dataclass(frozen=True)
class Found:
    """What a report tells of. Deviations are from the gin file `recipe`."""

    sections: Sequence[Section]
    ensembles: Sequence[Ensemble]
    left_out: Sequence[LeftOut]
    recipe: str


def write(found: Found, folder: Path) -> list[Path]:
    """report.md, report.tex, report.csv and report.json, and ensembles.csv if there are any; returns where they are."""
    texts = {"report.md": markdown(found), "report.tex": latex(found), "report.csv": as_csv(found.sections)}
    texts["report.json"] = as_json(found)
    if found.ensembles:
        texts["ensembles.csv"] = ensembles.as_csv(found.ensembles)
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in texts]


def markdown(report: Found) -> str:
    """A heading, the table and the deviations of each task; then the ensembles."""
    parts = []
    for section in report.sections:
        found = report_cells.deviations(section)
        listed = tables.markdown([report_cells.DEVIATIONS, *found]) if found else "None.\n"
        parts.append(f"## {report_cells.title(section)}\n\n{tables.markdown(report_cells.cells(section))}")
        parts.append(f"{report_cells.SCORES}\n\nDeviations from {report.recipe}:\n\n{listed}")
    if report.ensembles:
        parts.append(f"## {ensembles.TITLE}\n\n{tables.markdown(ensembles.cells(report.ensembles))}\n{ensembles.NOTE}\n")
    return "\n".join(parts)


def latex(found: Found) -> str:
    """A document that compiles as it is."""
    floats = [_latex_table(section, found.recipe) for section in found.sections]
    if found.ensembles:
        table = tables.latex(ensembles.cells(found.ensembles), ensembles.NAMES)
        floats.append(tables.latex_float(f"{ensembles.TITLE}. {ensembles.NOTE}", [table]))
    return LATEX.format("\n\n".join(floats))


def _latex_table(section: Section, recipe: str) -> str:
    caption = f"{report_cells.title(section)}. {report_cells.SCORES} Deviations are from {recipe}."
    found = [line[:-1] for line in report_cells.deviations(section)]
    tabulars = [tables.latex(report_cells.cells(section), report_cells.names(section))]
    if found:
        tabulars.append(tables.latex([report_cells.DEVIATIONS[:-1], *found], report_cells.DEVIATIONS))
    return tables.latex_float(caption, tabulars)


def as_csv(sections: Sequence[Section]) -> str:
    """A row for each line of all tasks, in full precision; a column for each setting that lines of some task differ in."""
    settings = dict.fromkeys(name for section in sections for name in section.columns)
    rows = [_row(line, section, list(settings)) for section in sections for line in section.lines]
    columns = dict.fromkeys(name for row in rows for name in row)
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _row(line: Line, section: Section, settings: Sequence[str]) -> dict[str, Any]:
    facts = _facts(line)
    scores = {name: " ".join(map(repr, own)) for name, own in [("scores", line.scores), *line.metrics.items()]}
    differ = {name: report_cells.text_of(value_of(name, line, section.lines)) for name in settings}
    return {
        "task": section.task,
        **differ,
        **facts,
        "seeds": " ".join(map(str, line.seeds)),
        **scores,
        "deviations": len(line.deviations),
        "runs": " ".join(map(str, line.runs)),
    }


def as_json(found: Found) -> str:
    """Everything that the tables say, and the scores of each seed."""
    return json.dumps(
        {
            "recipe": found.recipe,
            "tasks": [_section(section) for section in found.sections],
            "ensembles": [own.as_json() for own in found.ensembles],
            "left_out": [{"run": str(own.folder), "why": own.why} for own in found.left_out],
        },
        indent=2,
        ensure_ascii=False,
    )


def _section(section: Section) -> dict[str, Any]:
    return {
        "task": section.task,
        "columns": list(section.columns),
        "lines": [
            {
                **_facts(line),
                "settings": {name: _plain(value_of(name, line, section.lines)) for name in section.columns},
                "seeds": line.seeds,
                "scores": line.scores,
                "metrics": line.metrics,
                "deviations": [deviation.as_json() for deviation in line.deviations],
                "runs": [str(run) for run in line.runs],
            }
            for line in section.lines
        ],
    }


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value


def _facts(line: Line) -> Mapping[str, Any]:
    """What every form of a line has."""
    found = line.first
    return {
        "trained_on": shown(found.source),
        "split": found.split,
        "protocol": found.protocol,
        "method": found.method,
        "base_model": line.base_model,
        "parameters": found.parameters,
        "metric": " and ".join(line.metrics),
        "n": found.n,
        "mean": spread.mean(line.scores),
        "std": spread.std(line.scores),
        "invalid": line.invalid,
        "untuned": found.untuned,
        "majority": found.majority,
    }
