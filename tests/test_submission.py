"""`ptune eval --task super_glue|glue`: a bank over a benchmark's tasks, its overall score, and its leaderboard's files."""

import json
import shutil
import zipfile
from dataclasses import replace

import pytest
import tfds_run

from ptune_cli.formats import prompt as prompt_format

SUBMIT = ("--split", "test", "--offline", "true", "--submit")
TRUTH, ENTAILMENT = {"true", "false"}, {"entailment", "not_entailment"}
NLI = {"entailment", "neutral", "contradiction"}
# file: (the task whose test split it answers, the labels that the leaderboard knows; None for free text)
SUPER_GLUE = {
    "BoolQ.jsonl": ("boolq", TRUTH),
    "CB.jsonl": ("cb", NLI),
    "COPA.jsonl": ("copa", {0, 1}),
    "MultiRC.jsonl": ("multirc", {0, 1}),
    "ReCoRD.jsonl": ("record", None),
    "RTE.jsonl": ("rte", ENTAILMENT),
    "WiC.jsonl": ("wic", TRUTH),
    "WSC.jsonl": ("wsc", {"True", "False"}),
    "AX-b.jsonl": ("axb", ENTAILMENT),
    "AX-g.jsonl": ("axg", ENTAILMENT),
}
GLUE = {
    "CoLA.tsv": ("cola", {"0", "1"}),
    "SST-2.tsv": ("sst2", {"0", "1"}),
    "MRPC.tsv": ("mrpc", {"0", "1"}),
    "QQP.tsv": ("qqp", {"0", "1"}),
    "STS-B.tsv": ("stsb", None),
    "QNLI.tsv": ("qnli", ENTAILMENT),
    "RTE.tsv": ("glue_rte", ENTAILMENT),
    "WNLI.tsv": ("wnli", {"0", "1"}),
    "MNLI-m.tsv": ("mnli_matched", NLI),
    "MNLI-mm.tsv": ("mnli_mismatched", NLI),
    "AX.tsv": ("ax", NLI),
}


@pytest.fixture(scope="module")
def submitted(tasks_run, tmp_path_factory):
    """{benchmark: its zip}."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("submitted")
    for name in ("super_glue", "glue"):
        assert cli.main(["eval", str(tasks_run), "--task", name, *SUBMIT, str(folder / f"{name}.zip")]) == 0
    return {name: folder / f"{name}.zip" for name in ("super_glue", "glue")}


def contents(path) -> dict[str, list[str]]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode().splitlines() for name in archive.namelist()}


def without(run, folder, *members):
    """A copy of a run without these prompts."""
    shutil.copytree(run, folder)
    for member in members:
        shutil.rmtree(folder / "prompts" / member)
    return folder


def test_super_glue_is_ten_files_with_a_label_for_each_test_example(submitted, prepared_tasks):
    found = contents(submitted["super_glue"])
    assert set(found) == set(SUPER_GLUE)
    for file, (task, labels) in SUPER_GLUE.items():
        lines = [json.loads(line) for line in found[file]]
        split = prepared_tasks[task, "test"]
        if task == "multirc":  # a line is a paragraph, with questions, with answers
            answers = [each for line in lines for question in line["passage"]["questions"] for each in question["answers"]]
            assert sorted(each["idx"] for each in answers) == sorted(split.row(i)["idx/answer"] for i in range(len(split)))
            assert {each["label"] for each in answers} <= labels
            continue
        key = "idx/query" if task == "record" else "idx"
        assert [line["idx"] for line in lines] == sorted(split.row(i)[key] for i in range(len(split)))
        for line in lines:
            assert isinstance(line["label"], str) if labels is None else line["label"] in labels, file


def test_glue_is_eleven_tables_with_a_line_for_each_test_example(submitted, prepared_tasks):
    found = contents(submitted["glue"])
    assert set(found) == set(GLUE)
    for file, (task, labels) in GLUE.items():
        header, *lines = (line.split("\t") for line in found[file])
        split = prepared_tasks[task, "test"]
        assert header == ["index", "prediction"]
        assert [int(index) for index, _ in lines] == sorted(split.row(i)["idx"] for i in range(len(split)))
        for _, label in lines:
            assert 0 <= float(label) <= 5 if labels is None else label in labels, file


def test_a_second_submission_has_the_same_bytes_and_says_what_is_in_it(submitted, tasks_run, prepared_tasks, ptune, tmp_path):
    code, out, errors = ptune("eval", tasks_run, "--task", "super_glue", *SUBMIT, tmp_path / "new" / "again.zip", "--json")
    assert code == 0, errors
    assert (tmp_path / "new" / "again.zip").read_bytes() == submitted["super_glue"].read_bytes()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["again.zip"]
    found = json.loads(out)
    assert found["submission"] == str(tmp_path / "new" / "again.zip")
    assert {line["file"]: line["n"] for line in found["files"]} == {
        file: len(prepared_tasks[task, "test"]) for file, (task, _) in SUPER_GLUE.items()
    }
    members = {line["task"]: line["member"] for line in found["files"]}
    assert members == {task: f"{'rte' if task.startswith('ax') else task}-0" for task, _ in SUPER_GLUE.values()}
    assert all(0 <= line["invalid"] <= 100 for line in found["files"])


def test_of_several_seeds_the_one_that_validated_best_answers(tasks_run, ptune, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tasks_run, run)
    results = json.loads((run / "results.json").read_text())
    for task, validation in (("boolq", 101.0), ("cb", -1.0)):
        shutil.copytree(run / f"prompts/{task}-0", run / f"prompts/{task}-1")
        rows = results["tasks"][task]["members"]
        rows.append({**rows[0], "member": f"{task}-1", "validation": validation})
    (run / "results.json").write_text(json.dumps(results))
    code, out, errors = ptune("eval", run, "--task", "super_glue", "--offline", "true", "--json")
    assert code == 0, errors
    tasks = json.loads(out)["tasks"]
    assert (list(tasks["boolq"]), list(tasks["cb"])) == (["boolq-1"], ["cb-0"])
    (run / "results.json").unlink()
    assert "does not say how well boolq-0 validated" in ptune("eval", run, "--task", "super_glue")[2]


def test_a_task_without_a_prompt_is_named(tasks_run, ptune, tmp_path):
    run, output = without(tasks_run, tmp_path / "run", "copa-0", "rte-0"), tmp_path / "out.zip"
    code, out, errors = ptune("eval", run, "--task", "super_glue", *SUBMIT, output)
    assert (code, out) == (2, "") and errors.count("\n") == 1 and not output.exists()
    assert "no prompt for copa, rte of super_glue" in errors and "--partial" in errors
    code, out, errors = ptune("eval", run, "--task", "super_glue", *SUBMIT, output, "--partial")
    assert code == 0, errors
    assert set(contents(output)) == {*SUPER_GLUE} - {"COPA.jsonl", "RTE.jsonl", "AX-b.jsonl", "AX-g.jsonl"}
    code, _, errors = ptune("eval", run / "prompts/squad-0", "--task", "glue", "--partial")
    assert code == 2 and "no prompt for cola, sst2, mrpc, qqp, stsb, qnli, glue_rte, wnli, mnli of glue" in errors


def test_valid_answers_reach_the_files(tasks_run, prepared_tasks, ptune, tmp_path):
    """Ranking always answers with a label; ReCoRD and WSC have none to rank, so theirs are decoded."""
    output = tmp_path / "out.zip"
    command = ("eval", tasks_run, "--task", "super_glue", *SUBMIT, output, "--protocol", "rank", "--json")
    code, out, errors = ptune(*command, "--output", tmp_path / "said.jsonl")
    assert code == 0, errors
    assert [line["invalid"] for line in json.loads(out)["files"] if line["task"] not in ("record", "wsc")] == [0.0] * 8
    assert [line for line in errors.splitlines() if "no labels" in line] == [
        f"taskless_super_glue_{task} has no labels to rank: greedy" for task in ("record_v102", "wsc_and_dev_v102_simple")
    ]
    said = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    copa, split = [row for row in said if row["task"] == "taskless_super_glue_copa_v102"], prepared_tasks["copa", "test"]
    labels = {split.row(row["index"])["idx"]: int(row["answer"][-1]) - 1 for row in copa}  # TFDS shuffles, files are in order
    written = [json.loads(line) for line in contents(output)["COPA.jsonl"]]
    assert [(line["idx"], line["label"]) for line in written] == sorted(labels.items()) and len(set(labels.values())) > 1


def test_several_runs_make_up_one_benchmark(submitted, tasks_run, ptune, tmp_path):
    run = without(tasks_run, tmp_path / "run", "record-0")
    command = ("eval", run, tasks_run / "prompts/record-0", "--task", "super_glue", *SUBMIT)
    code, out, errors = ptune(*command, tmp_path / "out.zip")
    assert code == 0, errors
    assert (tmp_path / "out.zip").read_bytes() == submitted["super_glue"].read_bytes()
    assert len(out.splitlines()) == 11 and "ReCoRD.jsonl: 3 examples, 0.0% invalid, by record-0" in out


def test_prompts_of_several_runs_are_told_apart(tasks_run, ptune, tmp_path):
    other = without(tasks_run, tmp_path / "run")
    command = ("eval", tasks_run / "prompts/cb-0", other / "prompts/cb-0", "--offline", "true", "--json")
    code, out, errors = ptune(*command)
    assert code == 0, errors
    found = json.loads(out)["tasks"]["cb"]
    assert list(found) == [f"{run.parent.name}/run/cb-0" for run in (tasks_run, other)]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--task", "super_glue", "--submit", "OUT"), "--submit takes the test split, not 'validation'; give --split test"),
        (("--task", "boolq", "--split", "test", "--submit", "OUT"), "give --task super_glue or glue"),
        (("--split", "test", "--submit", "OUT"), "give --task super_glue or glue"),
        (("--task", "glue", "--split", "train"), "no split 'train' of glue"),
        (("--task", "glue", "--split", "test", "--submit", "."), "--submit . is a folder; name the zip file to write"),
        (("--task", "glue", "--template", "{text}"), "a template is for a task that is a file, not for glue"),
    ],
)
def test_what_cannot_be_submitted_is_refused_at_once(tasks_run, ptune, tmp_path, flags, message):
    code, out, errors = ptune("eval", tasks_run, *(tmp_path / "out.zip" if flag == "OUT" else flag for flag in flags))
    assert (code, out) == (2, "") and errors.count("\n") == 1 and message in errors
    assert not (tmp_path / "out.zip").exists()


def test_a_submission_that_cannot_be_written_leaves_nothing(tasks_run, ptune, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, errors = ptune("eval", tasks_run, "--task", "super_glue", *SUBMIT, tmp_path / "file" / "out.zip")
    assert code == 2 and "cannot write" in errors and errors.splitlines()[-1].startswith("ptune")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_overall_score_is_the_mean_of_the_tasks(tasks_run, ptune):
    code, out, errors = ptune("eval", tasks_run, "--task", "super_glue", "--offline", "true", "--json")
    assert code == 0, errors
    found = json.loads(out)
    assert list(found["tasks"]) == list(tfds_run.SUPER_GLUE)
    scores = {task: own[f"{task}-0"] for task, own in found["tasks"].items()}
    means = [scores[task]["accuracy"] for task in ("boolq", "copa", "rte", "wic", "wsc")]
    means += [(scores["cb"]["accuracy"] + scores["cb"]["f1_macro"]) / 2]
    means += [(scores["multirc"]["f1a"] + scores["multirc"]["em"]) / 2, (scores["record"]["f1"] + scores["record"]["em"]) / 2]
    assert found["score"] == pytest.approx(sum(means) / 8)


def test_glue_s_overall_score_counts_mnli_once(tasks_run, ptune):
    code, out, errors = ptune("eval", tasks_run, "--task", "glue", "--offline", "true", "--json")
    assert code == 0, errors
    scores = {task: next(iter(own.values())) for task, own in json.loads(out)["tasks"].items()}
    means = [scores[task]["accuracy"] for task in ("sst2", "qnli", "rte", "wnli")] + [scores["cola"]["matthews"]]
    means += [(scores[task]["accuracy"] + scores[task]["f1"]) / 2 for task in ("mrpc", "qqp")]
    means += [(scores["stsb"]["pearson"] + scores["stsb"]["spearman"]) / 2]
    means += [(scores["mnli_matched"]["accuracy"] + scores["mnli_mismatched"]["accuracy"]) / 2]
    assert json.loads(out)["score"] == pytest.approx(sum(means) / 9)


def test_validation_is_one_table_with_the_overall_score(tasks_run, ptune):
    run = tasks_run
    code, out, errors = ptune("eval", run, "--task", "super_glue", "--offline", "true")
    assert code == 0, errors
    rows = [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")]
    assert [row for row in rows if row] == [*tfds_run.SUPER_GLUE, "overall"]
    code, out, errors = ptune("eval", run / "prompts/cb-0", "--task", "super_glue", "--offline", "true", "--partial")
    assert code == 0, errors
    assert "overall" in out and out.rstrip().splitlines()[-2].split("│")[4].strip() == "-"


def test_a_prompt_trained_with_the_dataset_s_word_answers_in_that_form(tasks_run, ptune, tmp_path):
    """The plain form of CB is not prepared here, so that asking for it offline says which split was wanted."""
    run = without(tasks_run, tmp_path / "run")
    file = prompt_format.read(run / "prompts/cb-0")
    metadata = {**file.metadata, "task": "super_glue_cb_v102"}
    shutil.rmtree(run / "prompts/cb-0")
    prompt_format.write(run / "prompts/cb-0", replace(file, metadata=metadata))
    code, _, errors = ptune("eval", run, "--task", "super_glue", "--offline", "true")
    assert code == 2 and "super_glue_cb_v102 validation is not prepared" in errors and "taskless" not in errors
