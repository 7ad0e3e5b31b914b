"""The table of tasks matches its files, and metrics are what their definitions say."""

import ast
import csv
import subprocess
import sys
from pathlib import Path

import pytest

import tasks
from tasks import catalog, metrics, postprocessors

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
        "import sys, tasks.catalog, tasks.metrics, tasks.postprocessors\n"
        "print(*sorted({'tensorflow', 'seqio', 'jax', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=FOLDER.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_accuracy_is_the_percent_of_equal_answers_and_an_invalid_one_is_wrong():
    assert metrics.accuracy(["a", "b", "a", "c"], ["a", "a", None, "c"]) == {"accuracy": 50.0}
    assert metrics.accuracy(["a"], ["a "]) == {"accuracy": 0.0}


def by_definition(targets, predictions) -> float:
    scores = []
    for name in set(targets):
        pairs = [(target == name, prediction == name) for target, prediction in zip(targets, predictions, strict=True)]
        hits, wrong = pairs.count((True, True)), pairs.count((True, False)) + pairs.count((False, True))
        scores.append(2 * hits / (2 * hits + wrong))
    return 100 * sum(scores) / len(scores)


@pytest.mark.parametrize(
    ("targets", "predictions"),
    [
        ("aabbc", "aabbc"),
        ("aabbc", "aaaaa"),
        ("aabbc", "bbaaa"),
        ("aabbc", ["a", None, "b", None, "c"]),
        ("aabb", ["a", "z", "z", "b"]),
        ("a", ["a"]),
    ],
)
def test_f1_macro_is_the_mean_of_each_target_class(targets, predictions):
    score = metrics.f1_macro(list(targets), list(predictions))["f1_macro"]
    # Two orders of the same few float64 operations.
    assert score == pytest.approx(by_definition(targets, predictions), rel=1e-12)


@pytest.mark.parametrize("metric", metrics.METRICS.values())
def test_no_target_or_another_number_of_predictions_is_refused(metric):
    for targets, predictions in (([], []), (["a", "b"], ["a"])):
        with pytest.raises(ValueError, match=f"{len(predictions)} predictions for {len(targets)} targets"):
            metric(targets, predictions)


def test_an_answer_is_a_label_or_invalid():
    labels = ("animal", "plant")
    assert postprocessors.label(" animal\n", labels) == "animal"
    for text in ("Animal", "animals", "animal plant", "", "<unk>"):
        assert postprocessors.label(text, labels) is None
    assert postprocessors.label(" free text ", None) == "free text"
