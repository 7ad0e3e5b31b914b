"""The table of tasks matches its files, and tasks import what they may."""

import ast
import csv
import subprocess
import sys
from pathlib import Path

import pytest

import tasks
from tasks import catalog, metrics

FOLDER = Path(tasks.__file__).parent
TINY = Path(__file__).parent / "data" / "tiny.spiece.model"


@pytest.mark.parametrize("name", catalog.TASKS)
def test_a_task_of_the_catalog_has_its_module_files_and_metrics(name):
    entry = catalog.lookup(name)
    assert (FOLDER.parent / entry.module.replace(".", "/")).with_suffix(".py").is_file()
    assert set(entry.data_files) <= set(entry.splits)
    assert all((FOLDER / file).is_file() for file in entry.data_files.values())
    scores = [score for metric in entry.metrics for score in metrics.METRICS[metric](["x"], ["x"])]
    assert entry.best_metric in scores


def test_the_labels_of_gloss_topic_are_those_in_its_files():
    entry = catalog.lookup("gloss_topic")
    for file in entry.data_files.values():
        with open(FOLDER / file, encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))
        assert list(rows[0]) == ["id", "text", "label"]
        assert {row["label"] for row in rows} == set(entry.labels), file
        assert all(row["text"].strip() == row["text"] != "" for row in rows), file


def test_a_task_of_the_users_own_is_a_module_and_a_name():
    entry = catalog.lookup("package.module:name/of.task")
    assert entry == catalog.Entry(module="package.module")
    assert (entry.splits, entry.labels, entry.metrics, entry.best_metric) == ((), None, ("accuracy",), "accuracy")


@pytest.mark.parametrize("name", ["gloss", "", ":", "module:", ":task"])
def test_an_unknown_task_comes_with_the_choices(name):
    with pytest.raises(catalog.UnknownTask, match=f"no task '{name}'") as caught:
        catalog.lookup(name)
    assert caught.value.choices == tuple(sorted(catalog.TASKS))


def test_the_demo_is_a_seqio_task_that_t5x_can_score():
    pytest.importorskip("seqio")
    from tasks import demo

    task = demo.task("gloss_topic", str(TINY))
    assert tuple(task.splits) == catalog.lookup("gloss_topic").splits
    assert task.postprocessor(" animal\n", example=None, is_target=True) == "animal"
    assert [metric.__name__ for metric in task.predict_metric_fns] == ["accuracy", "f1_macro"]


def test_tasks_import_nothing_of_ptune():
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
            )
            assert not any(name.startswith("ptune") for name in names), file


def test_what_evaluation_needs_of_tasks_imports_no_tensorflow():
    program = (
        "import sys, tasks.catalog, tasks.leaderboards, tasks.metrics, tasks.postprocessors\n"
        "print(*sorted({'tensorflow', 'seqio', 'jax', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=FOLDER.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
