"""A data file of the user's own is a task: the same rows in any format give the same tokens, and what is wrong is named."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import model_folder
import pyarrow
import pytest
from pyarrow import parquet

from ptune_cli.data.file_splits import splits
from ptune_cli.data.files import texts
from ptune_cli.data.preparation import ensure
from ptune_cli.data.prepared import find
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.file_task import FileTask, short_name, with_templates
from ptune_cli.formats import prompt as prompt_format
from ptune_cli.prompts.bank import Prompt, members

AWKWARD = ('he said "dog", twice', "first line\nsecond line", "one, two, three")
ROWS = [
    {"id": str(i), "inputs": f"{AWKWARD[i % 3]} {i}", "targets": ("dog", "people")[i % 2], "year": str(1900 + i)}
    for i in range(20)
]
SUFFIXES = ("jsonl", "csv", "tsv", "parquet")


def save(file: Path, rows=ROWS) -> Path:
    if file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    elif file.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    else:
        with open(file, "w", newline="") as opened:
            writer = csv.DictWriter(opened, rows[0], delimiter="," if file.suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    return file


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory) -> Path:
    return model_folder.write(tmp_path_factory.mktemp("own-model"))


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(model_folder.VOCABULARY)


def train(model: Path, *flags: str) -> list[str]:
    return model_folder.train(model, Path("run"), "--steps", "2", "--every.evaluate", "2", *flags)


@pytest.fixture
def refused(vocabulary):
    """What `ensure` says of a task that cannot be prepared."""

    def run(task: str) -> str:
        with pytest.raises(UserError) as caught:
            ensure([(task, "train")], vocabulary)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return run


# --- one command


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_any_format_trains_with_one_command_and_gives_the_same_tokens(suffix, tiny_model, ptune, vocabulary):
    name = save(Path(f"rows.{suffix}")).name
    code, out, errors = ptune(*train(tiny_model, "--tasks", f"file:{name}"))
    assert code == 0, errors
    carved = f"(the last tenth of {name}); labels dog, people; metric accuracy"
    assert f"file:{name}: train 18 rows, validation 2 rows {carved}" in errors.splitlines()
    assert Path("run/prompts/rows-0/prompt.safetensors").is_file()
    save(Path("reference.jsonl"))
    for split in ("train", "validation"):
        found, expected = ensure([(f"file:{name}", split), ("file:reference.jsonl", split)], vocabulary, progress=lambda *_: None)
        for array in ("inputs", "targets", "input_offsets", "target_offsets", "row_offsets"):
            assert (found.folder / f"{array}.npy").read_bytes() == (expected.folder / f"{array}.npy").read_bytes()
        assert [found.row(i) for i in range(len(found))] == [expected.row(i) for i in range(len(expected))]
        assert found.inputs(0).tolist() == vocabulary.encode(found.row(0)["inputs"])


def test_a_run_on_a_file_is_evaluated_from_any_folder_and_answers(tiny_model, ptune, tmp_path, monkeypatch):
    save(Path("rows.csv"))
    template = "in {year}, {inputs} & 100%"
    assert ptune(*train(tiny_model, "--tasks", "file:rows.csv", "--template", template))[0] == 0
    assert ptune(*train(tiny_model, "--tasks", "file:rows.csv", "--template", template))[0] == 0  # resumes: it is the same run
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, out, errors = ptune("eval", tmp_path / "run", "--output", "predictions.jsonl", "--json")
    assert code == 0, errors
    first = json.loads(Path("predictions.jsonl").read_text().splitlines()[0])
    assert first["inputs"] == f"in 1918, {ROWS[18]['inputs']} & 100%"
    Path("texts").write_text("in 1900, the dog & 100%\n")
    code, out, errors = ptune("infer", tmp_path / "run", "--input", "texts")
    assert code == 0, errors
    assert "prediction" in json.loads(out)
    save(Path("other.jsonl"))
    code, out, errors = ptune(
        "eval", tmp_path / "run", "--task", "file:other.jsonl", "--template", "{inputs}", "--split", "train"
    )
    assert code == 0, errors
    assert "file:other.jsonl: train 18 rows; labels dog, people" in errors


def test_a_templates_fields_make_the_texts_and_the_label_is_the_target(tiny_model, ptune):
    save(Path("nli.csv"), [{"a": f"the dog {i}", "b": "a plant", "label": ("dog", "plant")[i % 2]} for i in range(12)])
    code, _, errors = ptune(*train(tiny_model, "--tasks", "file:nli.csv", "--template", "a: {a} b: {b} {{}}"))
    assert code == 0, errors
    assert "train 11 rows, validation 1 row (the last tenth of nli.csv); labels dog, plant" in errors
    task = prompt_format.read("run/prompts/nli-0").metadata["task"]
    assert task == f"file:{Path.cwd()}/nli.csv?inputs=a: {{a}} b: {{b}} {{{{}}}}"
    first = next(texts(FileTask.parse(task), Path("nli.csv")))
    assert first == {"inputs": "a: the dog 0 b: a plant {}", "targets": "dog"}


def test_neither_tensorflow_nor_seqio_is_imported(vocabulary):
    save(Path("rows.jsonl"))
    program = """
import sys
from ptune_cli.data.preparation import ensure
from ptune_cli.data.vocabulary import Vocabulary
ensure([("file:rows.jsonl", "train")], Vocabulary(sys.argv[1]), "cache")
print(sorted({"tensorflow", "tensorflow_datasets", "seqio", "jax", "pyarrow"} & set(sys.modules)))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, vocabulary.path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


# --- splits


def test_files_beside_the_training_file_are_the_other_splits(vocabulary, capsys):
    save(Path("train.csv"))
    save(Path("dev.csv"), [{"inputs": "a dog", "targets": "dog"}, {"inputs": "a fern", "targets": "plant"}])
    save(Path("test.csv"), ROWS[:3])
    wanted = [("file:train.csv", split) for split in ("train", "validation", "test")]
    found = ensure(wanted, vocabulary)
    assert [len(split) for split in found] == [20, 2, 3]
    assert {split.labels for split in found} == {("dog", "people")}
    counts = "validation 2 rows (dev.csv, 1 with targets that are not in the training file), test 3 rows (test.csv)"
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"file:train.csv: train 20 rows, {counts}")
    assert splits(FileTask(".")) == splits(FileTask("train.csv"))


def test_a_file_sorted_by_label_is_told_of(vocabulary, capsys):
    save(Path("rows.csv"), sorted(ROWS, key=lambda row: row["targets"]))
    ensure([("file:rows.csv", "validation")], vocabulary)
    assert "(the last tenth of rows.csv, all 'people': shuffle the file's rows)" in capsys.readouterr().err


def test_more_than_twenty_targets_are_free_text(vocabulary, capsys):
    save(Path("rows.jsonl"), [{"inputs": "a", "targets": f"answer {i}", "answers": ["a", "b"]} for i in range(25)])
    [split] = ensure([("file:rows.jsonl", "train")], vocabulary)
    assert split.labels is None
    assert split.row(0) == {"inputs": "a", "targets": "answer 0", "answers": ["a", "b"]}
    assert split.postprocess == "answers" and split.headline == ("f1",)  # the best of a row's answers counts
    assert "train 23 rows; free text; metric f1" in capsys.readouterr().err
    save(Path("rows.jsonl"), [{"inputs": "a", "targets": f"answer {i}"} for i in range(25)])
    [split] = ensure([("file:rows.jsonl", "train")], vocabulary)
    assert (split.labels, split.postprocess, split.headline) == (None, "label", ("accuracy",))


def test_an_edited_file_or_another_template_is_prepared_anew(vocabulary):
    file, task = save(Path("rows.jsonl")), "file:rows.jsonl"
    first = find(task, "validation", vocabulary)
    assert find(f"file:{file.absolute()}", "validation", vocabulary) == first
    assert find(task + "?inputs={year}", "validation", vocabulary) != first
    save(file, [{**ROWS[0], "targets": "plant"}, *ROWS[1:]])
    assert find(task, "validation", vocabulary) != first  # its labels are the training rows'
    [split] = ensure([(task, "validation")], vocabulary, progress=lambda *_: None)
    assert split.labels == ("dog", "people", "plant")


def test_numbers_and_booleans_are_the_same_text_in_json_and_parquet(vocabulary):
    rows = [{"inputs": 1.5, "targets": True, "id": 7}, {"inputs": 2.0, "targets": False, "id": 8}]
    for file in (save(Path("rows.jsonl"), rows), save(Path("rows.parquet"), rows)):
        assert next(texts(FileTask(str(file)), file)) == {"inputs": "1.5", "targets": "true", "id": "7"}


# --- names


def test_a_tasks_name_parses_to_what_it_was_made_from():
    own = FileTask("a/b.csv", "50% [a], {x} & {y}\n=?", "{label}")
    assert FileTask.parse(str(own)) == own
    assert not set(",[]\n") & set(str(own))
    assert with_templates(["gloss_topic", "file:a.csv"], "{x}", None) == ("gloss_topic", "file:a.csv?inputs={x}")


def test_members_are_called_by_the_file_and_two_templates_are_told_apart():
    names = {
        "file:data/nli.csv?inputs={a}": "nli",
        "file:data/train.jsonl": "data",
        "file:train.csv": "train",
        "file:a/b c/": "b-c",
    }
    assert {task: short_name(task) for task in names} == names
    assert short_name("file:..") == "data"
    bank = members(["file:nli.csv?inputs={a}", "file:nli.csv?inputs={b}"], [Prompt(length=2)], [0])
    assert [member.name for member in bank] == ["nli-0", "nli.2-0"]
    with pytest.raises(UserError, match="two members are named 'nli-0'"):
        members(["file:nli.csv", "file:nli.csv"], [Prompt(length=2)], [0])


# --- what is wrong is named with its place

GOOD = '{"inputs": "a", "targets": "b"}\n'
MALFORMED = {
    "not JSON": ("jsonl", GOOD + "{inputs\n", "rows.jsonl, line 2: not JSON"),
    "no object": ("jsonl", GOOD + "\n[1]\n", "rows.jsonl, line 3: a JSON list, expected an object"),
    "a missing field": ("jsonl", GOOD + '{"input": "a", "targets": "b"}', "line 2: no field 'inputs'; did you mean 'input'?"),
    "empty targets": ("jsonl", GOOD + '{"inputs": "a", "targets": " "}', "rows.jsonl, line 2: the targets are empty"),
    "null": ("jsonl", '{"inputs": null, "targets": "b"}', "line 1: the field 'inputs' is null, expected text"),
    "NaN": ("jsonl", '{"inputs": NaN, "targets": "b"}', "line 1: the field 'inputs' is null, expected text"),
    "a list": ("jsonl", '{"inputs": ["a"], "targets": "b"}', "line 1: the field 'inputs' is a list, expected text"),
    "half a character": ("jsonl", '{"inputs": "\\ud800", "targets": "b"}', "line 1: the field 'inputs' has half a character"),
    "answers": (
        "jsonl",
        '{"inputs": "a", "targets": "b", "answers": "b"}',
        "line 1: the field 'answers' is a str, expected a list",
    ),
    "bytes": ("jsonl", GOOD.encode() + b'{"inputs": "caf\xe9"}\n', "rows.jsonl, line 2: not UTF-8: invalid continuation byte at"),
    "columns": ("csv", 'inputs,targets\n"a\nb",c\na,b,c\n', "rows.csv, line 4: 3 columns, expected 2 (inputs, targets)"),
    "an open quote": ("csv", 'inputs,targets\na,b\n"a,b\n', "rows.csv, line 3: unexpected end of data"),
    "a quote": ("tsv", 'inputs\ttargets\n"a" dog\tb\n', "rows.tsv, line 2: '\t' expected after '\"'"),
    "no header": ("csv", "the dog,dog\na fern,plant\n", "no field 'inputs'; (have: dog, the dog)"),
    "a column twice": ("tsv", "inputs\tinputs\na\tb\n", "line 1: the columns are named 'inputs', 'inputs'"),
    "header alone": ("csv", "inputs,targets\n", "rows.csv has no rows"),
    "nothing": ("jsonl", "", "rows.jsonl has no rows"),
    "one row": ("jsonl", GOOD, "rows.jsonl has one row and no validation file beside it"),
    "no Parquet": ("parquet", "no parquet", "rows.parquet cannot be read as Parquet after row 0: "),
    "suffix": ("jsonn", GOOD, "the data file 'rows.jsonn' ends in '.jsonn'; did you mean '.jsonl'?"),
}


@pytest.mark.parametrize(("suffix", "content", "words"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_named_with_its_line(suffix, content, words, refused):
    Path(f"rows.{suffix}").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert words in refused(f"file:rows.{suffix}")


def test_a_parquet_row_is_named_by_its_number(refused):
    save(Path("rows.parquet"), [*ROWS, {"inputs": "a", "targets": None}])
    assert "rows.parquet, row 21: the field 'targets' is null" in refused("file:rows.parquet")


def test_a_mistake_on_the_command_line_is_one_line_and_makes_no_run(tiny_model, ptune):
    save(Path("rows.csv"))
    Path("empty").mkdir()
    for flags, words in (
        (["--tasks", "file:row.csv"], "no file or folder 'row.csv'; in .: did you mean 'rows.csv'?"),
        (["--tasks", "file:"], "no file or folder ''"),
        (["--tasks", "file:empty"], "no train.jsonl, .csv, .tsv or .parquet in 'empty'"),
        (["--tasks", "file:rows.csv", "--template", "{yaer}"], "rows.csv, line 2: no field 'yaer'; did you mean 'year'?"),
        (["--tasks", "file:rows.csv", "--template", "{year"], "the template '{year' names no field, or has a brace"),
        (["--tasks", "file:rows.csv", "--template", "year"], "the template 'year' names no field"),
        (["--tasks", "file:rows.csv?input={year}"], "sets 'input'; did you mean 'inputs'?"),
        (["--tasks", "gloss_topic", "--template", "{year}"], "a template is for a task that is a file, not for gloss_topic"),
        (["--tasks", "file:rows.csv", "--test_split", "test"], "has no split 'test'; (have: train, validation)"),
    ):
        code, out, errors = ptune(*train(tiny_model, *flags))
        assert (code, out) == (2, "")
        assert words in errors
        assert errors.count("\n") == 1, errors
        assert not Path("run").exists()


def test_a_folder_with_two_training_files_is_refused(refused):
    save(Path("train.csv"))
    save(Path("train.jsonl"))
    assert "the folder '.' has train.csv and train.jsonl; name one of them" in refused("file:.")


def test_without_pyarrow_the_error_says_what_to_install(refused, monkeypatch):
    save(Path("rows.parquet"), [{"inputs": "prepared by no other test", "targets": "a"}])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "needs pyarrow" in refused("file:rows.parquet")
    assert "pip install 'ptune[parquet]'" in refused("file:rows.parquet")
