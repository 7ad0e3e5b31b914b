"""Prepares a task that is a data file of the user's own, in the process that trains: no TensorFlow, no seqio."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import ptune_cli
from ptune_cli.data import file_splits, tables
from ptune_cli.data.fingerprint import fingerprint
from ptune_cli.data.partial import MAX_LABELS, Example
from ptune_cli.data.prepared import Prepared, find
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.data.writer import locked, write
from ptune_cli.errors import UserError, nearest
from ptune_cli.file_task import FileTask, fill

TARGET_FIELDS = ("targets", "label", "target")

# How answers are compared: with the target, or with the best of the answers that every row has.
LABEL = {"postprocess": "label", "metrics": ["accuracy"], "headline": ["accuracy"]}
ANSWERS = {"postprocess": "answers", "metrics": ["squad"], "headline": ["f1"]}

Report = Callable[[int, int | None], None]


def prepare(own: FileTask, split: str, vocabulary: Vocabulary, cache: Path, report: Report) -> None:
    """Tokenises a split into the cache, unless it is there. UserError names the file and the row that is wrong."""
    folder = find(str(own), split, vocabulary, cache)
    with locked(folder):
        if folder.exists():  # another process made it while this one waited
            return
        parts = file_splits.splits(own)
        train, part = parts["train"].file, parts[split]
        count, labels, answered = _survey(own, train)
        first, end = part.bounds(count if part.file == train else _survey(own, part.file)[0])
        report(0, end - first)
        facts = {
            "task": str(own),
            "split": split,
            "fingerprint": fingerprint(str(own), split, vocabulary),
            "vocabulary_sha256": vocabulary.sha256,
            "labels": labels,
            **(ANSWERS if answered else LABEL),
            "versions": {"ptune": ptune_cli.__version__},
        }
        examples = _examples(islice(texts(own, part.file), first, end), vocabulary)
        write(folder, [examples], facts, lambda done: report(done, end - first))
        report(end - first, end - first)


def texts(own: FileTask, file: Path) -> Iterator[dict[str, Any]]:
    """Each row's `inputs` and `targets`, with its `id` and its `answers` if it has them. UserError for a row that is wrong."""
    templates = None
    for where, row in tables.rows(file):
        templates = templates or (own.inputs or "{inputs}", own.targets or _default_target(own, row))
        inputs, targets = (fill(t, lambda field, row=row, where=where: _text(row, field, where)) for t in templates)
        if not targets.strip():
            raise UserError(f"{where}: the targets are empty")
        found: dict[str, Any] = {"inputs": inputs, "targets": targets.strip()}  # as a model's answer is, before it is compared
        if row.get("id") is not None:
            found["id"] = _text(row, "id", where)
        if row.get("answers") is not None and file.suffix.lower() in (".jsonl", ".parquet"):
            found["answers"] = _answers(row["answers"], where)
        yield found


def notes(found: Mapping[tuple[str, str], Prepared]) -> Iterator[str]:
    """A line for each task that is a file: what its splits, labels and metric were taken to be."""
    for task in dict.fromkeys(task for task, _ in found):
        if own := FileTask.parse(task):
            parts, mine = file_splits.splits(own), {split: data for (name, split), data in found.items() if name == task}
            counts = ", ".join(f"{split} {_count(len(data))}{_remark(parts[split], data)}" for split, data in mine.items())
            first = next(iter(mine.values()))
            kind = f"labels {', '.join(first.labels)}" if first.labels else "free text"
            yield f"{own.place}: {counts}; {kind}; metric {' and '.join(first.headline)}"


def _survey(own: FileTask, file: Path) -> tuple[int, list[str] | None, bool]:
    """How many rows there are, the distinct targets if they are few, and whether all have answers. Every row is checked."""
    count, found, answered = 0, set(), True
    for row in texts(own, file):
        count += 1
        answered = answered and "answers" in row
        if len(found) <= MAX_LABELS:
            found.add(row["targets"])
    if not count:
        raise UserError(f"{file} has no rows", 'expected fields "inputs" and "targets", or those of a template')
    labels = sorted(found) if len(found) <= MAX_LABELS and not answered else None
    return count, labels, answered


def _examples(rows: Iterator[dict], vocabulary: Vocabulary) -> Iterator[Example]:
    for row in rows:
        yield Example(vocabulary.encode(row["inputs"]), vocabulary.encode(row["targets"]), row)


def _default_target(own: FileTask, row: Mapping) -> str:
    names = TARGET_FIELDS if own.inputs else TARGET_FIELDS[:1]
    return "{" + next((name for name in names if name in row), "targets") + "}"


def _text(row: Mapping, field: str, where: str) -> str:
    """A field as text: numbers and booleans as JSON writes them."""
    if field not in row:
        hint = "say which make the text with --template and --target_template; of CSV and TSV, the first line names the fields"
        raise UserError(f"{where}: no field '{field}'; {nearest(field, row)}", hint)
    value = row[field]
    if isinstance(value, bool | int | float) and value == value:  # NaN is how some tools write null
        return json.dumps(value)
    if not isinstance(value, str):
        raise UserError(f"{where}: the field '{field}' is {_kind(value)}, expected text")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise UserError(f"{where}: the field '{field}' has half a character (\\ud800 to \\udfff alone)")
    return value


def _answers(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(answer, str) for answer in value):
        raise UserError(f"{where}: the field 'answers' is {_kind(value)}, expected a list of texts")
    return [_text({"answers": answer}, "answers", where) for answer in value]


def _kind(value: Any) -> str:
    return "null" if value is None or value != value else f"a {type(value).__name__}"


def _count(rows: int) -> str:
    return f"{rows} row" if rows == 1 else f"{rows} rows"


def _remark(part: file_splits.Part, data: Prepared) -> str:
    """Where a split is, and what is odd about its targets."""
    if part.rows == "all but the last tenth" or data.manifest["split"] == "train":
        return ""
    targets = Counter(data.row(i)["targets"] for i in range(len(data)))
    remarks = [f"{'' if part.rows == 'all' else part.rows + ' of '}{part.file.name}"]
    if data.labels and (unknown := sum(n for target, n in targets.items() if target not in data.labels)):
        remarks.append(f"{unknown} with targets that are not in the training file")
    if data.labels and len(targets) == 1 < min(len(data.labels), len(data)):
        remarks.append(f"all '{next(iter(targets))}': shuffle the file's rows")
    return f" ({', '.join(remarks)})"
