"""Multi-task model tuning: one model for several tasks, each scored, with the step that is best for all of them together."""

import json
import statistics
from pathlib import Path

import kinds
import model_folder
import numpy as np
import pytest
from processes import STOPS, python

from ptune_cli.commands.trained import FOLDER
from ptune_cli.formats import huggingface

TESTS = Path(__file__).parent  # the module of the task is found in the current folder
ROWS = {"train": 20, "validation": 8}
FLAGS = (
    *("--method", "model", "--optimizer.learning_rate", "0.01", "--optimizer.parameter_scale", "true"),
    *("--steps", "16", "--every.evaluate", "4", "--every.save", "4"),
)


@pytest.fixture(scope="module")
def where(tmp_path_factory) -> str:
    """A second task: is a text of the first about a plant, with a word in front."""
    folder = tmp_path_factory.mktemp("where")
    for split, count in ROWS.items():
        rows = kinds.rows(split)
        pairs = list(zip(rows["inputs"], rows["targets"], strict=True))[:count]
        lines = [{"inputs": f"tree: {text}", "targets": "plant" if target == "plant" else "people"} for text, target in pairs]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"file:{folder}"


def command(model, run, where, *flags: str) -> list[str]:
    return model_folder.train(model, run, "--tasks", f"kinds:kinds,{where}", *FLAGS, *flags)


@pytest.fixture(scope="module")
def mixed(model, where, tmp_path_factory):
    """A finished run of model tuning on both tasks."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("mixed") / "run"
    assert cli.main(command(model, folder, where)) == 0
    return folder


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())


def scored(run: Path) -> list[dict]:
    """The rows of metrics.jsonl that have validation scores."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if any(name.startswith("validation/") for name in row)]


def test_each_task_is_scored_with_the_step_whose_mean_is_best(mixed, where):
    found = results(mixed)
    assert list(found["tasks"]) == ["kinds:kinds", where]
    rows = [row for task in found["tasks"].values() for row in task["members"]]
    names, [step] = [row["member"] for row in rows], {row["best_step"] for row in rows}
    means = {
        row["step"]: statistics.fmean(
            row[f"validation/accuracy/{name}"] - 1e-6 * row[f"validation/invalid/{name}"] for name in names
        )
        for row in scored(mixed)
    }
    assert sorted(means) == [0, 4, 8, 12, 16] and means[step] == max(means.values())
    [best] = [row for row in scored(mixed) if row["step"] == step]
    assert [row["validation"] for row in rows] == [best[f"validation/accuracy/{name}"] for name in names]
    # The validation split is what is scored at the end too, here by the same protocol.
    assert [row["greedy_accuracy"] for row in rows] == [row["validation"] for row in rows]
    assert found["mixture"] == rates(where)


def test_a_run_killed_in_the_middle_ends_as_if_it_had_never_been(mixed, model, where, ptune, tmp_path):
    arguments = command(model, tmp_path / "run", where)
    with python(STOPS, "kill", 10, *arguments, cwd=TESTS) as killed:
        _, errors = killed.communicate()
    assert killed.returncode == -9, errors
    code, _, errors = ptune(*arguments)
    assert code == 0 and "resuming from step 8\n" in errors
    whole, resumed = (huggingface.read(run / FOLDER)[1] for run in (mixed, tmp_path / "run"))
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert scored(mixed) == scored(tmp_path / "run")


def test_eval_scores_a_model_of_several_tasks_on_each_or_on_one_that_is_asked_for(mixed, ptune):
    code, out, errors = ptune("eval", mixed, "--positions", "512", "--json")
    assert code == 0, errors
    found = json.loads(out)["tasks"]
    for task, own in zip(found.values(), results(mixed)["tasks"].values(), strict=True):
        [row] = own["members"]
        assert task == {row["member"]: {"accuracy": row["greedy_accuracy"], "n": own["n"], "invalid": row["invalid"]}}
    code, out, errors = ptune("eval", mixed, "--task", "kinds:kinds", "--positions", "512", "--json")
    [scores] = found["kinds:kinds"].values()
    assert code == 0 and json.loads(out)["tasks"] == {"kinds:kinds": {"mixture-0": scores}}


def test_infer_needs_no_name_for_a_model_of_several_tasks(mixed, where, ptune, tmp_path):
    tasks = [own["members"][0]["member"] for own in results(mixed)["tasks"].values()]
    files = [mixed / f"predictions/{name}-validation.jsonl" for name in tasks]
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    (tmp_path / "input").write_text("".join(f"{line['inputs']}\n" for line in lines))
    code, out, errors = ptune("infer", mixed, "--input", tmp_path / "input")
    assert code == 0, errors
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["prediction"] for answer in answers] == [line["text"] for line in lines]
    assert {answer["prompt"] for answer in answers} == {"mixture-0"}
    (tmp_path / "input").write_text(out)  # whose lines name what answered
    assert ptune("infer", mixed, "--input", tmp_path / "input")[:2] == (0, out)


def test_a_report_tells_a_model_of_several_tasks_from_one_of_the_task_alone(mixed, model, ptune, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "mixed").symlink_to(mixed)
    assert ptune(*model_folder.train(model, runs / "alone", *FLAGS))[0] == 0
    code, out, errors = ptune("report", runs / "mixed", runs / "alone", "--output", tmp_path / "report", "--json")
    assert code == 0 and "count once" not in errors, errors
    kinds_lines = json.loads(out)["tasks"][0]["lines"]
    sources = {line["trained_on"] for line in kinds_lines}
    assert len(kinds_lines) == 2 and len(sources) == 2 and "kinds:kinds" in sources
    text = (tmp_path / "report/report.md").read_text()
    assert text.count("| model tuning (multi-task) |") == 2 and text.count("| model tuning |") == 1


def test_a_plan_shows_the_rates(model, where, ptune, tmp_path):
    for more, percent in (((), "66.67%"), (("--mixing_limit", "10"), "50.00%")):
        code, out, _ = ptune(*planned(command(model, tmp_path / "run", where, *more)))
        assert code == 0 and percent in next(line for line in out.splitlines() if "share of kinds:kinds" in line)
    code, out, _ = ptune(*planned(command(model, tmp_path / "run", where, "--json")))
    assert json.loads(out)["mixture"] == rates(where)
    code, out, _ = ptune(*planned(model_folder.train(model, tmp_path / "run", *FLAGS, "--json")))
    assert json.loads(out)["mixture"] == {}


def planned(command: list[str]) -> list[str]:
    return ["plan", *command[1:], "--no-measure"]


def rates(where: str) -> dict:
    return {"kinds:kinds": pytest.approx(200 / 3), where: pytest.approx(100 / 3)}


def test_tasks_that_begin_alike_are_told_and_a_limit_below_one_is_refused(model, where, ptune, tmp_path):
    told = "nothing in front of their inputs tells the model which task it answers"
    code, _, errors = ptune(*planned(command(model, tmp_path / "run", where)))
    assert code == 0 and f"kinds:kinds and {where}: {told}" in errors
    code, _, errors = ptune(*planned(model_folder.train(model, tmp_path / "run", *FLAGS)))
    assert code == 0 and told not in errors
    code, _, errors = ptune(*command(model, tmp_path / "run", where, "--mixing_limit", "0"))
    assert code == 2 and "mixing_limit is 0, expected at least 1" in errors
