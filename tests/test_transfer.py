"""`ptune transfer`: trained on one task, evaluated on others that training never looked at, two methods side by side."""

import json
import math
from pathlib import Path

import model_folder
import pytest
from processes import python

from ptune_cli import config
from ptune_cli.errors import UserError
from ptune_cli.reports import transfer_figure, transfer_table
from ptune_cli.reports.transfer_results import Found, Row, collect
from ptune_cli.sweeps.transfer import Transfer

SETTINGS = """
from __gin__ import dynamic_registration
from ptune_cli import base_model
from ptune_cli.commands import train
from ptune_cli.prompts import bank
from ptune_cli.training import loop

base_model.BaseModel.checkpoint = "{model}"
train.Train.model = @base_model.BaseModel()
train.Train.tasks = ("gloss_topic",)
train.Train.prompt = @bank.Prompt()
train.Train.steps = 6
train.Train.batch_size = 4
train.Train.input_length = 24
train.Train.test_split = "test"
train.Train.protocol = "rank"
train.Train.every = @loop.Every()
bank.Prompt.length = 3
loop.Every.evaluate = 2
"""
# A ptune command that kills itself before it keeps its second evaluation. What its processes open is told in the folder argv[1].
KILLED = """
    import os, signal, sys

    sys.path.insert(0, sys.argv[1])
    from ptune_cli import cli
    from ptune_cli.sweeps import evaluations

    written = 0

    def write(file, data, real=evaluations.write_atomically):
        global written
        written += 1
        if written == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        real(file, data)

    evaluations.write_atomically = write
    sys.exit(cli.main(sys.argv[2:]))
"""
# Python imports a module of this name when it starts: here, in the processes that train.
TOLD = """
import os, sys

told = open(f"{folder}/{{os.getpid()}}.opened", "w", buffering=1)


def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        told.write(os.fsdecode(arguments[0]) + "\\n")


sys.addaudithook(hook)
"""
WORDS = {"dog": ("mal", "wolf", "hound"), "plant": ("tree", "fern", "grass"), "people": ("person", "the sisters", "wolf")}


def rows(first: int, count: int, end: str) -> list[dict]:
    labels = [list(WORDS)[i % 3] for i in range(first, first + count)]
    return [{"inputs": f"{WORDS[label][i % 3]} {end} {i}", "targets": label} for i, label in enumerate(labels, first)]


def task(folder: Path, end: str, **splits: int) -> str:
    folder.mkdir()
    for number, (split, count) in enumerate(splits.items()):
        lines = "".join(json.dumps(row) + "\n" for row in rows(100 * number, count, end))
        (folder / f"{split}.jsonl").write_text(lines)
    return f"file:{folder}"


@pytest.fixture(scope="module")
def places(cache, tmp_path_factory) -> dict[str, str]:
    """The tasks source, near, far (of which a row has no target), and the gin files base and model."""
    folder = tmp_path_factory.mktemp("transfer")
    found = {
        "source": task(folder / "source", "in the sand", train=24, validation=9, test=7),
        "near": task(folder / "near", "in the tree", train=3, validation=3, test=12),
        "far": task(folder / "far", "the person", train=3, validation=3, test=5),
        "base": str(folder / "base.gin"),
        "model": str(folder / "model_tuning.gin"),
        "output": str(folder / "out"),
    }
    with open(folder / "far/test.jsonl", "a") as file:
        file.write('{"inputs": "wolf"}\n')
    Path(found["base"]).write_text(SETTINGS.format(model=model_folder.write(folder / "tiny")))
    Path(found["model"]).write_text(
        'from __gin__ import dynamic_registration\nfrom ptune_cli.training import optimizer\ninclude "methods/model_tuning.gin"\n'
        "optimizer.Adafactor.learning_rate = 0.05\n"
    )
    return found


def command(places) -> tuple[str, ...]:
    return (
        *("transfer", "--base", places["base"], "--methods", f"methods/prompt_tuning.gin,{places['model']}", "--seeds", "0,1"),
        *("--transfers", f"{places['source']} -> {places['near']} {places['far']}", "--output", places["output"]),
    )


@pytest.fixture(scope="module")
def killed(places, tmp_path_factory) -> dict:
    """A transfer that was killed in its second evaluation: what was done by then, and every file that training opened."""
    told = tmp_path_factory.mktemp("told")
    (told / "sitecustomize.py").write_text(TOLD.format(folder=told))
    with python(KILLED, told, *command(places)) as process:
        _, errors = process.communicate()
    assert process.returncode == -9, errors
    opened = {path for file in told.glob("*.opened") for path in file.read_text().splitlines()}
    return {"done": done(places), "opened": opened, "errors": errors}


@pytest.fixture(scope="module")
def again(places, killed) -> dict:
    """The same command, run again: its exit code, and what was done by its end."""
    from ptune_cli import cli

    return {"code": cli.main(list(command(places))), "done": done(places)}


def done(places) -> dict[str, int]:
    """{a result or a start of a run: when it was written, or how many there were}."""
    output = Path(places["output"])
    written = {str(file): file.stat().st_mtime_ns for file in output.glob("*/evaluations/*.json")}
    starts = {str(file): len(json.loads(file.read_text())["starts"]) for file in output.glob("*/run.json")}
    return {**written, **starts}


def table(places) -> list[dict]:
    return json.loads((Path(places["output"]) / "transfer.json").read_text())


def test_training_opens_no_file_of_a_target(killed, places):
    source, near, far = (Path(places[name].removeprefix("file:")) for name in ("source", "near", "far"))
    assert {str(source / f"{split}.jsonl") for split in ("train", "validation", "test")} <= killed["opened"]
    assert [path for path in killed["opened"] if str(near) in path or str(far) in path] == []


def test_killed_half_way_and_run_again_it_redoes_nothing_that_was_finished(killed, again, places):
    assert "3 points, 0 finished" in killed["errors"]
    before, after = killed["done"], again["done"]
    runs = [path for path in before if path.endswith("run.json")]
    assert len(runs) == 3 and len(before) - len(runs) == 1
    assert {path: after[path] for path in before} == before
    assert sum("evaluations" in path for path in after) == 6


def test_a_target_that_fails_is_named_and_the_others_stand(again, places, ptune):
    assert again["code"] == 1
    code, _, errors = ptune(*command(places))
    assert code == 1
    lines = [line for line in errors.splitlines() if "failed" in line]
    assert len(lines) == 3 and all(
        f"on {places['far']} test: failed: " in line and "test.jsonl, line 6" in line for line in lines
    )
    assert [row["task"] for row in table(places)] == [places["source"], places["near"]]
    assert done(places) == again["done"]


def test_the_tables_numbers_are_those_of_separate_evals(again, places, ptune):
    runs = {name: Path(places["output"]) / f"source-{name}" for name in ("prompt_tuning", "model_tuning-0", "model_tuning-1")}
    for row, name, count in zip(table(places), ("source", "near"), (7, 12), strict=True):
        assert (row["metric"], row["split"], row["n"]) == ("accuracy", "test", count)
        scores = {}
        for run, folder in runs.items():
            code, out, errors = ptune("eval", folder, "--task", places[name], "--split", "test", "--json")
            assert code == 0, errors
            [members] = json.loads(out)["tasks"].values()
            scores.setdefault(run.partition("-")[0], []).extend(member["accuracy"] for member in members.values())
        assert {method: found["scores"] for method, found in row["methods"].items()} == scores
        assert row["difference"] == pytest.approx(sum(scores["prompt_tuning"]) / 2 - sum(scores["model_tuning"]) / 2)


def test_the_step_is_the_one_that_the_sources_validation_split_chose(again, places):
    for folder in Path(places["output"]).glob("source-*"):
        content = json.loads((folder / "results.json").read_text())
        [result] = content["tasks"].values()
        assert result["splits"] == {
            "policy": "dev-as-test",
            "trained_on": "train",
            "chosen_on": "validation",
            "scored_on": "test",
        }
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for member in result["members"]:
            key = f"validation/accuracy/{member['member']}"
            assert member["validation"] == max(line[key] for line in lines if key in line)


def test_a_target_that_was_mended_is_all_that_is_done(again, places, ptune, tmp_path):
    """The table is written anew, with its row; run once more, the command does nothing but show it."""
    file = Path(places["far"].removeprefix("file:")) / "test.jsonl"
    whole = file.read_text()
    file.write_text(whole.rpartition('{"inputs": "wolf"}')[0])
    try:
        code, out, errors = ptune(*command(places), "--json")
        after = done(places)
        assert code == 0, errors
        assert {path: after[path] for path in again["done"]} == again["done"] and len(after) == len(again["done"]) + 3
        assert [row["task"] for row in json.loads(out)] == [places[name] for name in ("source", "near", "far")]
        code, second, errors = ptune(*command(places), "--json")
        assert (code, second, errors) == (0, out, "3 points, 3 finished\n")
        assert done(places) == after
    finally:
        file.write_text(whole)


def test_other_rows_of_a_target_are_evaluated_anew(again, places):
    """A result is of the rows that it was made from: the command knows it by them, and not by the task's name."""
    transfer = config.resolve(Transfer, [], [], flags(places)).object
    near = next(own for own in transfer.evaluations(transfer.points()) if own.task == places["near"])
    assert near.finished()
    file = Path(places["near"].removeprefix("file:")) / "test.jsonl"
    whole = file.read_text()
    file.write_text(whole + whole.splitlines()[0] + "\n")
    try:
        assert not near.finished()
    finally:
        file.write_text(whole)
    assert near.finished()


def flags(places, **changes) -> dict:
    return {
        "base": places["base"],
        "methods": ("methods/prompt_tuning.gin",),
        "transfers": (f"{places['source']} -> {places['near']}",),
        "output": places["output"],
        "seeds": (0, 1),
        **changes,
    }


def test_a_dry_run_lists_what_is_finished_as_commands(again, places, ptune):
    code, out, _ = ptune(*command(places)[:-1], Path(places["output"]) / "other", "--dry_run")
    assert code == 0 and out.count("to run    ptune train") == 3 and out.count("to run    ptune eval") == 9
    code, out, _ = ptune(*command(places), "--dry_run")
    near = f"finished  ptune eval {places['output']}/source-model_tuning-1 --task {places['near']} --split test"
    assert code == 0 and out.count("finished") == 9 and near in out.splitlines()


@pytest.mark.parametrize(
    ("transfers", "changes", "message"),
    [
        ("{source} -> {near} {source}", {}, "is the source of '{source} -> {near} {source}', and a target of it"),
        ("gloss_topic -> gloss_topic", {}, "gloss_topic is the source"),
        ("mrpc -> taskless_glue_mrpc_v200", {}, "taskless_glue_mrpc_v200 is the source of"),
        ("{source} -> {near} {near}", {}, "twice; give each target once"),
        ("gloss_topic -> webster_topic", {"split": "validation"}, "which gloss_topic chooses its step on; zero-shot is without"),
        ("gloss_topic -> webster_topic", {"split": "train"}, "which gloss_topic trains on"),
        ("mrpc -> mrpc_from_qqp", {"split": "validation"}, "glue/mrpc:2.0.0 validation, which mrpc chooses its step on"),
        ("{source} -> {source}/train.jsonl", {}, "test.jsonl, which {source} is scored on"),
        ("{source} -> {near}", {"split": "tset"}, "has no split 'tset'; did you mean 'test'?"),
        ("{source} -> {near}/gone", {}, "no file or folder"),
        ("{source}", {}, "'{source}' is no transfer; expected SOURCE -> TARGET TARGET"),
        ("{source} {near} -> {far}", {}, "is no transfer"),
        ("gloss_topik -> webster_topic", {}, "no task 'gloss_topik'; did you mean 'gloss_topic'?"),
        ("{source} -> {near}", {"methods": ("methods/prompt_design.gin",)}, "trains nothing that could be transferred"),
        ("{source} -> {near}", {"methods": ("a", "b", "c")}, "3 methods were given; expected one, or two"),
    ],
)
def test_what_is_not_zero_shot_or_no_comparison_is_refused_before_anything_runs(transfers, changes, message, places, tmp_path):
    found = flags(places, transfers=(transfers.format(**places),), output=str(tmp_path / "out"), **changes)
    with pytest.raises(UserError) as error:
        config.resolve(Transfer, [], [], found).object.points()
    assert message.format(**places) in str(error.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "runs", "asked"),
    [
        ("glosses", 4, {"gloss_topic": ["gloss_topic test", "webster_topic test"]}),
        (
            "table1",
            4,
            {
                "squad": [
                    f"{name} validation" for name in "squad textbook_qa bio_asq race relation_extraction duo_rc drop".split()
                ]
            },
        ),
        (
            "table2",
            8,
            {"qqp": ["qqp validation", "mrpc_from_qqp validation"], "mrpc": ["mrpc validation", "qqp_from_mrpc validation"]},
        ),
    ],
)
def test_the_papers_tables_are_the_runs_and_evaluations_that_they_say(name, runs, asked):
    transfer = config.resolve(Transfer, [f"transfers/{name}.gin"], [], {"model": "elsewhere"}).object
    points, found = transfer.points(), {}
    assert len(points) == runs
    for own in transfer.evaluations(points):
        found.setdefault(own.point.train.tasks[0], {})[f"{own.task} {own.split}"] = None
        assert own.point.train.model.checkpoint == "elsewhere" and own.point.train.model.vocabulary is None
        assert own.point.train.choosing_split == "validation"
    assert {source: list(tasks) for source, tasks in found.items()} == asked
    tuned = [point.train for point in points if point.train.method == "model"]
    assert len(tuned) == 3 * len(asked) and all(train.model.weights_dtype == "float32" for train in tuned)


def evaluation(file: Path, task: str, seeds: dict[int, tuple[float, float]]) -> Path:
    """The result of a run's evaluation as it is kept: {seed: its accuracy and f1}."""
    members = {f"t-{seed}": {"seed": seed, "accuracy": accuracy, "f1": f1} for seed, (accuracy, f1) in seeds.items()}
    content = {"task": task, "split": "test", "protocol": "greedy", "headline": ["accuracy", "f1"], "n": 40, "members": members}
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
def measured(tmp_path) -> list[Found]:
    """Prompt tuning with two seeds in a run, model tuning with one in each of two, on what was trained on and on `other`."""
    return [
        Found("own", "prompt_tuning", evaluation(tmp_path / "a", "own", {1: (72.0, 61.0), 0: (70.0, 60.0)})),
        Found("own", "prompt_tuning", evaluation(tmp_path / "b", "other", {0: (50.0, 40.0), 1: (56.0, 40.0)})),
        Found("own", "model_tuning", evaluation(tmp_path / "c", "own", {0: (80.0, 60.0)})),
        Found("own", "model_tuning", evaluation(tmp_path / "d", "other", {0: (44.0, 44.0)})),
        Found("own", "model_tuning", evaluation(tmp_path / "e", "other", {1: (47.0, 41.5)})),
    ]


def test_the_mean_the_spread_and_the_difference_are_those_by_hand(measured):
    found = [row.as_json() for row in collect(measured, ["prompt_tuning", "model_tuning"])]
    assert [(row["task"], row["metric"]) for row in found] == [
        ("own", "accuracy"),
        ("own", "f1"),
        ("other", "accuracy"),
        ("other", "f1"),
    ]
    own, _, other, _ = found
    assert own["methods"]["prompt_tuning"] == {"scores": (70.0, 72.0), "mean": 71.0, "std": pytest.approx(math.sqrt(2))}
    assert own["methods"]["model_tuning"] == {"scores": (80.0,), "mean": 80.0, "std": None} and own["difference"] == -9.0
    assert other["methods"]["prompt_tuning"]["std"] == pytest.approx(3 * math.sqrt(2)) and other["difference"] == 53.0 - 45.5


def test_the_table_and_the_picture_have_a_place_for_each_method(measured, tmp_path):
    rows = collect(measured, ["prompt_tuning", "model_tuning"])
    transfer_table.write(rows, tmp_path)
    lines = (tmp_path / "transfer.md").read_text().splitlines()
    assert lines[0] == ("| trained on | evaluated on | split | metric | prompt tuning | model tuning | Δ | seeds | n |")
    assert lines[2] == "| own | own | test | accuracy, greedy | 71.0±1.4 | 80.0 | -9.0 | 2/1 | 40 |"
    assert lines[5] == "| own | other | test | f1, greedy | 40.0±0.0 | 42.8±1.8 | -2.8 | 2 | 40 |"
    png, svg = transfer_figure.draw(rows, tmp_path)
    assert png.stat().st_size > 10_000
    assert all(
        words in svg.read_text() for words in ("prompt tuning", "model tuning", "accuracy (%), greedy", "f1 (%), greedy", "other")
    )


def test_the_numbers_of_table_1_are_whole_on_a_terminal_of_80_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    task, scores = "relation_extraction", {"prompt_tuning": (87.0, 88.0), "model_tuning": (89.0, 89.2)}
    transfer_table.show([Row("squad", task, "validation", "f1", "greedy", 2948, scores)], [tmp_path / "a.png"], as_json=False)
    printed = capsys.readouterr().out
    assert "trained on squad: f1, greedy (percent)" in printed
    assert [task, "validation", "87.5±0.7", "89.1±0.1", "-1.6", "2", "2948"] in [line.split() for line in printed.splitlines()]


def test_without_the_runs_of_a_method_the_other_stands_and_there_is_no_difference(measured, tmp_path):
    rows = collect(measured[2:], ["prompt_tuning", "model_tuning"])
    transfer_table.write(rows, tmp_path)
    assert (
        "| own | other | test | accuracy, greedy |  | 45.5±2.1 |  | 0/2 | 40 |"
        in (tmp_path / "transfer.md").read_text().splitlines()
    )
    assert rows[0].as_json()["difference"] is None and list(rows[0].as_json()["methods"]) == ["model_tuning"]
    assert len(transfer_figure.draw(rows, tmp_path)) == 2


def test_one_method_alone_has_no_difference(measured):
    assert [row.difference for row in collect(measured[:2], ["prompt_tuning"])] == [None] * 4
