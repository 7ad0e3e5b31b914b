"""`ptune eval --task super_glue|glue`: which prompt answers which part, the overall score, and the leaderboard's files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ptune_cli.commands import trained
from ptune_cli.commands.trained import Trained
from ptune_cli.data.prepared import Prepared
from ptune_cli.errors import UserError, nearest
from ptune_cli.evaluation.score import Scores
from ptune_cli.formats.atomic import replacing
from tasks.benchmarks import BENCHMARKS
from tasks.leaderboards import submission_file, write

Found = Mapping[str, Mapping[str, Scores]]  # {task: {the one member: its scores}}
SPLITS = ("validation", "test")


def check(task: str | None, split: str, submit: str | None) -> None:
    """UserError for what cannot be evaluated as a benchmark, or submitted."""
    if submit is not None and task not in BENCHMARKS:
        raise UserError("--submit writes the files of a benchmark's leaderboard", f"give --task {' or '.join(BENCHMARKS)}")
    if submit is not None and split != "test":
        raise UserError(f"--submit takes the test split, not '{split}'", "give --split test")
    if submit is not None and Path(submit).expanduser().is_dir():
        raise UserError(f"--submit {submit} is a folder", "name the zip file to write")
    if task in BENCHMARKS and split not in SPLITS:
        raise UserError(f"no split '{split}' of {task}; {nearest(split, SPLITS)}")


def assigned(name: str, prompts: Sequence[Trained], split: str, partial: bool) -> dict[str, list[Trained]]:
    """{task: [the prompt that answers it]} of a benchmark's parts: of several, the one that validated best.

    Parts without a prompt are left out if `partial`. UserError that names what has none, else; or if nothing is left.
    """
    benchmark, own = BENCHMARKS[name], {}
    for prompt in prompts:
        own.setdefault(benchmark.part(prompt.member.task), []).append(prompt)
    wanted = {part: benchmark.trained[part] for part in benchmark.parts(split)}
    missing = [kind for kind in dict.fromkeys(wanted.values()) if kind not in own]
    if missing and not (partial and set(wanted.values()) & set(own)):
        without = ", ".join(map(benchmark.alias, missing))
        raise UserError(f"no prompt for {without} of {name}", "name a run that has them too, or leave them out with --partial")
    best = {kind: trained.best(own[kind]) for kind in dict.fromkeys(wanted.values()) if kind in own}
    answering = {part: best[kind] for part, kind in wanted.items() if kind in best}
    return {benchmark.task(part, prompt.member.task): [prompt] for part, prompt in answering.items()}


def submit(name: str, found: Found, splits: Mapping[str, Prepared], path: str, as_json: bool) -> None:
    """Write the zip once all of its files are made; print a line for each."""
    files, lines = {}, []
    for task, own in found.items():
        ((member, scores),) = own.items()
        rows, part = [splits[task].row(i) for i in range(len(splits[task]))], BENCHMARKS[name].part(task)
        file, content = submission_file(f"{name}_{part}", rows, [prediction.answer for prediction in scores.predictions])
        files[file] = content
        lines.append({"file": file, "task": part, "member": member, "n": scores.n, "invalid": scores.invalid})
    with replacing(Path(path).expanduser()) as temporary:
        write(temporary, files)
    if as_json:
        print(json.dumps({"benchmark": name, "split": "test", "submission": path, "files": lines}, indent=2))
        return
    for line in lines:
        print(f"{line['file']}: {line['n']} examples, {line['invalid']:.1f}% invalid, by {line['member']}")
    print(f"{len(lines)} files in {path}")


def show(name: str, found: Found, split: str, as_json: bool) -> None:
    """Print the scores of every part and the overall score, as JSON or as one table."""
    parts = {BENCHMARKS[name].part(task) or task: own for task, own in found.items()}
    score = overall(name, parts, split)
    if as_json:
        scores = {part: {member: scores.flat() for member, scores in own.items()} for part, own in parts.items()}
        print(json.dumps({"benchmark": name, "split": split, "score": score, "tasks": scores}, indent=2))
        return
    table = Table(title=f"{name}, {split} split (percent)", title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("prompt", "metrics", "score", "invalid", "n"):
        table.add_column(column, justify="left" if column in ("prompt", "metrics") else "right")
    for part, own in parts.items():
        for member, scores in own.items():
            table.add_row(part, member, *_cells(scores))
    table.add_section()
    table.add_row("overall", "", "", "-" if score is None else f"{score:.1f}", "", "")
    Console().print(table)


def overall(name: str, parts: Found, split: str) -> float | None:
    """The benchmark's score; None where it has none: not all parts were scored, or not on the validation splits."""
    if split != "validation" or set(parts) != set(BENCHMARKS[name].parts(split)):
        return None
    return BENCHMARKS[name].score({part: scores.metrics for part, own in parts.items() for scores in own.values()})


def _cells(scores: Scores) -> tuple[str, str, str, str]:
    metrics = ", ".join(f"{metric} {value:.1f}" for metric, value in scores.metrics.items())
    return metrics, f"{scores.score:.1f}" if metrics else "-", f"{scores.invalid:.1f}", str(scores.n)
