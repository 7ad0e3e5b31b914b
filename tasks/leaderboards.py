"""GLUE's and SuperGLUE's overall scores, and the files that their leaderboards take.

Sources: Wang et al. 2018 and 2019 for the scores; for files, the published file names and what jiant, the benchmarks' own
toolkit, writes (STS-B cut to 0..5, three decimals). Not verified, as the graders are not public: whether they mind the order of
lines, which here is that of idx.
"""

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_ACCURACY = ("accuracy",)
_SUPER_GLUE = {
    **dict.fromkeys(("boolq", "copa", "rte", "wic", "wsc"), _ACCURACY),
    "cb": ("accuracy", "f1_macro"),
    "multirc": ("f1a", "em"),
    "record": ("f1", "em"),
}
_GLUE = {
    **dict.fromkeys(("sst2", "mnli_matched", "mnli_mismatched", "qnli", "rte", "wnli"), _ACCURACY),
    **dict.fromkeys(("mrpc", "qqp"), ("accuracy", "f1")),
    "cola": ("matthews",),
    "stsb": ("pearson", "spearman"),
}

_TRUTH = {"False": "false", "True": "true"}
_ENTAILMENT = {"entailment": "entailment", "not_entailment": "not_entailment"}
_NLI = {name: name for name in ("entailment", "neutral", "contradiction")}

# task: (file, {answer: what the leaderboard calls it}); None for text and numbers.
_FILES: dict[str, tuple[str, Mapping[str, str | int] | None]] = {
    "super_glue_boolq": ("BoolQ.jsonl", _TRUTH),
    "super_glue_cb": ("CB.jsonl", {name: name for name in ("entailment", "contradiction", "neutral")}),
    "super_glue_copa": ("COPA.jsonl", {"choice1": 0, "choice2": 1}),
    "super_glue_multirc": ("MultiRC.jsonl", {"False": 0, "True": 1}),
    "super_glue_record": ("ReCoRD.jsonl", None),
    "super_glue_rte": ("RTE.jsonl", _ENTAILMENT),
    "super_glue_wic": ("WiC.jsonl", _TRUTH),
    "super_glue_wsc": ("WSC.jsonl", {"False": "False", "True": "True"}),
    "super_glue_axb": ("AX-b.jsonl", _ENTAILMENT),
    "super_glue_axg": ("AX-g.jsonl", _ENTAILMENT),
    "glue_cola": ("CoLA.tsv", {"unacceptable": 0, "acceptable": 1}),
    "glue_sst2": ("SST-2.tsv", {"negative": 0, "positive": 1}),
    "glue_mrpc": ("MRPC.tsv", {"not_equivalent": 0, "equivalent": 1}),
    "glue_qqp": ("QQP.tsv", {"not_duplicate": 0, "duplicate": 1}),
    "glue_stsb": ("STS-B.tsv", None),
    "glue_mnli_matched": ("MNLI-m.tsv", _NLI),
    "glue_mnli_mismatched": ("MNLI-mm.tsv", _NLI),
    "glue_qnli": ("QNLI.tsv", _ENTAILMENT),
    "glue_rte": ("RTE.tsv", _ENTAILMENT),
    "glue_wnli": ("WNLI.tsv", {"not_entailment": 0, "entailment": 1}),
    "glue_ax": ("AX.tsv", _NLI),
}


def super_glue_score(results: Mapping[str, Mapping[str, float]]) -> float:
    """The mean over the eight tasks, by short name, of the mean of each one's metrics; other tasks and metrics do not count.

    Raises:
        ValueError: a task is missing, or a metric of one.
    """
    means = _task_means(_SUPER_GLUE, results)
    return sum(means.values()) / len(means)


def glue_score(results: Mapping[str, Mapping[str, float]]) -> float:
    """As `super_glue_score`, over GLUE's nine tasks: MNLI is the mean of mnli_matched and mnli_mismatched, and counts once."""
    means = _task_means(_GLUE, results)
    mnli = (means.pop("mnli_matched") + means.pop("mnli_mismatched")) / 2
    return (sum(means.values()) + mnli) / (len(means) + 1)


def submission_file(task: str, rows: Sequence[Mapping], answers: Sequence[Any]) -> tuple[str, bytes]:
    """The name and content of a leaderboard's file: `answers` to the test `rows` of a task such as "glue_rte".

    Rows need their "idx", or "idx/..." for MultiRC and ReCoRD; the first row of a ReCoRD query counts. An invalid answer becomes
    the task's first label, for ReCoRD the empty text and for STS-B 0.

    Raises:
        ValueError: an unknown task, an answer that is no label of it, or another number of answers than of rows.
    """
    if task not in _FILES:
        raise ValueError(f"no leaderboard takes '{task}'; it is one of {', '.join(_FILES)}")
    if len(rows) != len(answers):
        raise ValueError(f"{len(answers)} answers for {len(rows)} rows")
    name, names = _FILES[task]
    given = [_leaderboard_label(task, answer, names) for answer in answers]
    if task == "super_glue_multirc":
        return name, _json_lines(_paragraphs(rows, given))
    found: dict[int, Any] = {}
    for row, answer in zip(rows, given, strict=True):
        found.setdefault(row["idx/query" if task == "super_glue_record" else "idx"], answer)
    if name.endswith(".jsonl"):
        return name, _json_lines({"idx": index, "label": found[index]} for index in sorted(found))
    return name, "".join(["index\tprediction\n", *(f"{index}\t{found[index]}\n" for index in sorted(found))]).encode()


def write(path_zip: str | Path, files: Mapping[str, bytes]) -> None:
    """Writes the files, by name, into a zip without folders: the same files always give the same bytes."""
    with zipfile.ZipFile(path_zip, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED)


def _task_means(wanted: Mapping[str, Sequence[str]], results: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    missing = sorted(
        task if task not in results else f"{task} {metric}"
        for task, metrics in wanted.items()
        for metric in (metrics if task in results else metrics[:1])
        if metric not in results.get(task, {})
    )
    if missing:
        raise ValueError(f"no score without {', '.join(missing)}")
    return {task: sum(results[task][metric] for metric in metrics) / len(metrics) for task, metrics in wanted.items()}


def _leaderboard_label(task: str, answer: Any, names: Mapping[str, str | int] | None) -> str | int:
    answer = answer["value"] if isinstance(answer, Mapping) else answer
    if task == "glue_stsb":
        return f"{min(max(answer or 0.0, 0.0), 5.0):.3f}"
    if names is None:
        return answer or ""
    if answer is None:
        return next(iter(names.values()))
    if str(answer) not in names:
        raise ValueError(f"'{answer}' is no label of {task}")
    return names[str(answer)]


def _paragraphs(rows: Sequence[Mapping], labels: Sequence[str | int]) -> list[dict]:
    """MultiRC's nesting: paragraphs of questions of answers, each in the order of its idx."""
    indices = [(row["idx/paragraph"], row["idx/question"], row["idx/answer"]) for row in rows]
    nested: dict[int, dict[int, list[dict]]] = {}
    for (paragraph, question, answer), label in sorted(zip(indices, labels, strict=True)):
        nested.setdefault(paragraph, {}).setdefault(question, []).append({"idx": answer, "label": label})
    return [
        {"idx": paragraph, "passage": {"questions": [{"idx": index, "answers": found} for index, found in questions.items()]}}
        for paragraph, questions in nested.items()
    ]


def _json_lines(lines: Iterable[Mapping]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()
