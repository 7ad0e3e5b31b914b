"""SuperGLUE's raw files as its authors publish them (one zip of JSON lines a task), with rows written for these tests.

The file formats are those that TFDS's super_glue 1.0.2 reads.
"""

import io
import itertools
import json
import re
import zipfile

from raw_super_glue_rows import FIELDS, MULTIRC, RECORD, ROWS

URL = "https://dl.fbaipublicfiles.com/glue/superglue/data/v2/{}.zip"
ARCHIVES = {"boolq": "BoolQ", "cb": "CB", "copa": "COPA", "multirc": "MultiRC", "record": "ReCoRD", "rte": "RTE", "wic": "WiC"}
ARCHIVES |= {"wsc.fixed": "WSC", "axb": "AX-b", "axg": "AX-g"}
MARKS = {"+": "True", "-": "False"}
REPAIRED = {"my uncle": "My uncle", "the ships.": "the ships"}
SPLITS = {"train": slice(8), "validation": slice(8, 12), "test": slice(12, None)}


def files() -> dict[str, bytes]:
    """The archives by URL."""
    return {URL.format(folder): _archive(name, folder) for name, folder in ARCHIVES.items()}


def rows(name: str) -> dict[str, list[dict]]:
    """A task's rows by split as simple fields; those whose label is hidden have none."""
    if name in ("axb", "axg"):
        return {"test": [dict(zip(FIELDS[name], row, strict=True)) for row in ROWS[name]]}
    return {split: [dict(zip(FIELDS[name], row, strict=False)) for row in ROWS[name][part]] for split, part in SPLITS.items()}


def expected(name: str) -> dict[str, list[dict]]:
    """What TFDS makes of them: labels are names, or -1; a span of WSC has the case and the full stop of the text."""
    if name == "multirc":
        return {split: _expected_multirc(paragraphs) for split, paragraphs in MULTIRC.items()}
    if name == "record":
        return {split: _expected_record(passages) for split, passages in RECORD.items()}
    return {split: [_expected(name, row) for row in part] for split, part in rows(name).items()}


def _expected(name: str, row: dict) -> dict:
    label = row.get("label", -1)
    if isinstance(label, bool):
        label = str(label)
    if name == "copa" and label >= 0:
        label = f"choice{label + 1}"
    span = {"span1_text": REPAIRED.get(row["span1_text"], row["span1_text"])} if name == "wsc.fixed" else {}
    return {**row, **span, "label": label}


def _expected_multirc(paragraphs: list) -> list[dict]:
    return [
        {"paragraph": text, "question": question, "answer": answer.lstrip("+-"), "label": MARKS.get(answer[0], -1)}
        for text, questions in paragraphs
        for question, answers in questions.items()
        for answer in answers
    ]


def _expected_record(passages: list) -> list[dict]:
    return [
        {"passage": text, "query": query, "entities": sorted(names), "answers": sorted(answers)}
        for text, names, queries in passages
        for query, answers in queries.items()
    ]


def _archive(name: str, folder: str) -> bytes:
    make = {"multirc": _multirc, "record": _record}.get(name)
    content = {}
    for split in SPLITS if name not in ("axb", "axg") else ["test"]:
        member = folder if name in ("axb", "axg") else {"validation": "val"}.get(split, split)
        lines = make(split) if make else [_line(name, i, row) for i, row in enumerate(rows(name)[split])]
        content[f"{folder}/{member}.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines)
    return zipped(content)


def zipped(content: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, text in content.items():
            archive.writestr(member, text)
    return stream.getvalue()


def _line(name: str, index: int, row: dict) -> dict:
    line = {**row, "idx": index}
    if name == "wsc.fixed":
        line["target"] = {key: line.pop(key) for key in list(line) if key.startswith("span")}
    if name == "wic":
        starts = [row[sentence].lower().index(row["word"]) for sentence in ("sentence1", "sentence2")]
        ends = [start + len(row["word"]) for start in starts]
        line |= {"start1": starts[0], "end1": ends[0], "start2": starts[1], "end2": ends[1], "version": 1.1}
    return line


def _multirc(split: str) -> list[dict]:
    lines, questions_seen, answers_seen = [], itertools.count(), itertools.count()
    for index, (text, questions) in enumerate(MULTIRC[split]):
        made = [
            {
                "question": question,
                "idx": next(questions_seen),
                "answers": [_answer(text, next(answers_seen)) for text in answers],
            }
            for question, answers in questions.items()
        ]
        lines.append({"idx": index, "version": 1.1, "passage": {"text": text, "questions": made}})
    return lines


def _answer(text: str, index: int) -> dict:
    label = {"label": int(text[0] == "+")} if text[0] in "+-" else {}
    return {"text": text.lstrip("+-"), "idx": index, **label}


def _record(split: str) -> list[dict]:
    lines, queries_seen = [], itertools.count()
    for index, (text, names, queries) in enumerate(RECORD[split]):
        qas = [
            {"query": query, "idx": next(queries_seen)} | ({"answers": _spans(text, answers, True)} if split != "test" else {})
            for query, answers in queries.items()
        ]
        lines.append({"source": "hand", "idx": index, "passage": {"text": text, "entities": _spans(text, names)}, "qas": qas})
    return lines


def _spans(text: str, names: tuple[str, ...], with_text: bool = False) -> list[dict]:
    """Every place of every name; ReCoRD's ends are inclusive."""
    return [
        {"start": match.start(), "end": match.end() - 1} | ({"text": name} if with_text else {})
        for name in names
        for match in re.finditer(re.escape(name), text)
    ]
