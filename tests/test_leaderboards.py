"""The leaderboards' overall scores, and the files they take."""

import json
import zipfile

import pytest

from tasks.leaderboards import glue_score, submission_file, super_glue_score, write

SUPER_GLUE = {
    "boolq": {"accuracy": 80.0},
    "cb": {"accuracy": 90.0, "f1_macro": 70.0},  # 80
    "copa": {"accuracy": 60.0},
    "multirc": {"f1a": 70.0, "em": 30.0},  # 50
    "record": {"f1": 72.0, "em": 70.0},  # 71
    "rte": {"accuracy": 75.0},
    "wic": {"accuracy": 64.0},
    "wsc": {"accuracy": 40.0},
}
GLUE = {
    "cola": {"matthews": 50.0},
    "sst2": {"accuracy": 94.0},
    "mrpc": {"f1": 90.0, "accuracy": 86.0},  # 88
    "qqp": {"f1": 70.0, "accuracy": 90.0},  # 80
    "stsb": {"pearson": 89.0, "spearman": 87.0},  # 88
    "mnli_matched": {"accuracy": 86.0},
    "mnli_mismatched": {"accuracy": 84.0},  # with matched 85, once
    "qnli": {"accuracy": 91.0},
    "rte": {"accuracy": 70.0},
    "wnli": {"accuracy": 65.0},
}


def test_the_super_glue_score_is_the_mean_of_tasks_not_of_metrics():
    # (80 + 80 + 60 + 50 + 71 + 75 + 64 + 40) / 8
    assert super_glue_score(SUPER_GLUE) == 65.0


def test_the_glue_score_counts_mnli_once():
    # (50 + 94 + 88 + 80 + 88 + 85 + 91 + 70 + 65) / 9
    assert glue_score(GLUE) == 79.0


@pytest.mark.parametrize(("scored", "results"), [(super_glue_score, SUPER_GLUE), (glue_score, GLUE)])
def test_diagnostics_and_other_numbers_do_not_count(scored, results):
    more = {task: {**scores, "n": 5000, "invalid": 99.0} for task, scores in results.items()}
    assert scored({**more, "axb": {"matthews": 1.0}, "axg": {"accuracy": 1.0}, "ax": {"matthews": 1.0}}) == scored(results)


@pytest.mark.parametrize(("scored", "results"), [(super_glue_score, SUPER_GLUE), (glue_score, GLUE)])
def test_there_is_no_score_without_a_task_or_a_metric_of_it(scored, results):
    for task, scores in results.items():
        without = {name: each for name, each in results.items() if name != task}
        with pytest.raises(ValueError, match=f"no score without {task}$"):
            scored(without)
        for metric in scores:
            with pytest.raises(ValueError, match=f"no score without {task} {metric}$"):
                scored({**results, task: {name: value for name, value in scores.items() if name != metric}})
    with pytest.raises(ValueError, match="no score without .*, rte"):
        scored({})


def lines(content: bytes) -> list:
    return [json.loads(line) for line in content.decode().splitlines()]


@pytest.mark.parametrize(
    ("task", "file", "answers", "labels"),
    [
        ("boolq", "BoolQ.jsonl", ["True", "False", None], ["true", "false", "false"]),
        ("wic", "WiC.jsonl", ["True", "False", None], ["true", "false", "false"]),
        ("wsc", "WSC.jsonl", [True, False, None], ["True", "False", "False"]),
        ("copa", "COPA.jsonl", ["choice2", "choice1", None], [1, 0, 0]),
        ("cb", "CB.jsonl", ["neutral", "contradiction", None], ["neutral", "contradiction", "entailment"]),
        ("rte", "RTE.jsonl", ["not_entailment", "entailment", None], ["not_entailment", "entailment", "entailment"]),
        ("axb", "AX-b.jsonl", ["not_entailment", "entailment", None], ["not_entailment", "entailment", "entailment"]),
        ("axg", "AX-g.jsonl", ["not_entailment", "entailment", None], ["not_entailment", "entailment", "entailment"]),
    ],
)
def test_super_glue_takes_a_label_by_idx_in_order(task, file, answers, labels):
    name, content = submission_file(f"super_glue_{task}", [{"idx": 2}, {"idx": 0}, {"idx": 1}], answers)
    assert name == file
    expected = [{"idx": 0, "label": labels[1]}, {"idx": 1, "label": labels[2]}, {"idx": 2, "label": labels[0]}]
    assert lines(content) == expected
    assert [type(line["label"]) for line in lines(content)] == [type(line["label"]) for line in expected]


def test_record_takes_one_text_for_each_query():
    rows = [{"idx/passage": 0, "idx/query": 5}, {"idx/passage": 0, "idx/query": 5}, {"idx/passage": 0, "idx/query": 4}]
    name, content = submission_file("super_glue_record", rows, ["São Paulo", "Rome", ""])
    assert name == "ReCoRD.jsonl"
    assert lines(content) == [{"idx": 4, "label": ""}, {"idx": 5, "label": "São Paulo"}]


def test_multirc_takes_answers_in_questions_in_paragraphs():
    keys = ("idx/paragraph", "idx/question", "idx/answer")
    rows = [dict(zip(keys, at, strict=True)) for at in ((1, 2, 0), (0, 0, 1), (0, 0, 0), (0, 1, 2))]
    answers = [{"value": value, "group": "unused"} for value in ("True", "False", "True", None)]
    name, content = submission_file("super_glue_multirc", rows, answers)
    assert name == "MultiRC.jsonl"
    assert lines(content) == [
        {
            "idx": 0,
            "passage": {
                "questions": [
                    {"idx": 0, "answers": [{"idx": 0, "label": 1}, {"idx": 1, "label": 0}]},
                    {"idx": 1, "answers": [{"idx": 2, "label": 0}]},
                ]
            },
        },
        {"idx": 1, "passage": {"questions": [{"idx": 2, "answers": [{"idx": 0, "label": 1}]}]}},
    ]


@pytest.mark.parametrize(
    ("task", "file", "answers", "labels"),
    [
        ("cola", "CoLA.tsv", ["acceptable", "unacceptable", None], "100"),
        ("sst2", "SST-2.tsv", ["positive", "negative", None], "100"),
        ("mrpc", "MRPC.tsv", ["equivalent", "not_equivalent", None], "100"),
        ("qqp", "QQP.tsv", ["duplicate", "not_duplicate", None], "100"),
        ("wnli", "WNLI.tsv", ["entailment", "not_entailment", None], "100"),
        ("stsb", "STS-B.tsv", [3.8, 5.4, None], ["3.800", "5.000", "0.000"]),
        ("qnli", "QNLI.tsv", ["not_entailment", "entailment", None], ["not_entailment", "entailment", "entailment"]),
        ("rte", "RTE.tsv", ["not_entailment", "entailment", None], ["not_entailment", "entailment", "entailment"]),
        ("mnli_matched", "MNLI-m.tsv", ["neutral", "contradiction", None], ["neutral", "contradiction", "entailment"]),
        ("mnli_mismatched", "MNLI-mm.tsv", ["neutral", "contradiction", None], ["neutral", "contradiction", "entailment"]),
        ("ax", "AX.tsv", ["neutral", "contradiction", None], ["neutral", "contradiction", "entailment"]),
    ],
)
def test_glue_takes_a_table_of_indices_and_predictions(task, file, answers, labels):
    name, content = submission_file(f"glue_{task}", [{"idx": 1}, {"idx": 0}, {"idx": 10}], answers)
    assert name == file
    assert content.decode() == f"index\tprediction\n0\t{labels[1]}\n1\t{labels[0]}\n10\t{labels[2]}\n"


def test_a_submission_with_a_mistake_is_refused():
    with pytest.raises(ValueError, match="no leaderboard takes 'rte'; it is one of .*super_glue_rte.*glue_rte"):
        submission_file("rte", [{"idx": 0}], ["entailment"])
    with pytest.raises(ValueError, match="'neutral' is no label of glue_rte"):
        submission_file("glue_rte", [{"idx": 0}], ["neutral"])
    with pytest.raises(ValueError, match="1 answers for 2 rows"):
        submission_file("glue_rte", [{"idx": 0}, {"idx": 1}], ["entailment"])


def test_the_same_files_are_the_same_zip(tmp_path):
    files = {"WNLI.tsv": b"index\tprediction\n", "AX.tsv": b"\xff\x00"}
    write(tmp_path / "one.zip", files)
    write(tmp_path / "two.zip", dict(reversed(files.items())))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {entry.filename: archive.read(entry) for entry in archive.infolist()} == files
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
