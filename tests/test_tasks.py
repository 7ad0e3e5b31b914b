"""The table of tasks matches its files, and tasks import what they may."""

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

# The inputs of each, of the columns of its files.
DEMO = {
    "gloss_topic": "gloss: {text}",
    "webster_topic": "gloss: {text}",
    "verse_pair": "verse1: {first} verse2: {second}",
}
# What the postprocessors of any task want of a row.
ROW = {"inputs": "x", "label": 1, "answers": ["1"], **{f"idx/{key}": 0 for key in ("paragraph", "question", "passage", "query")}}


@pytest.mark.parametrize("name", catalog.tasks())
def test_a_task_of_the_catalog_has_its_module_files_and_metrics(name):
    entry = catalog.lookup(name)
    assert (FOLDER.parent / entry.module.replace(".", "/")).with_suffix(".py").is_file()
    assert set(entry.data_files) | set(entry.rows) | set(entry.parts) <= set(entry.splits)
    assert all((FOLDER / file).is_file() for file in entry.data_files.values())
    assert entry.source or entry.data_files or entry.parts
    assert all(split in catalog.lookup(task).splits for task, split in entry.parts.values())
    post, rows = (
        postprocessors.POSTPROCESSORS[entry.postprocess],
        [ROW | {"targets": word} for word in entry.labels or ("1", "2")],
    )
    targets = [post(row["targets"], row, entry.labels, True) for row in rows]
    given = [post(row["targets"], row, entry.labels, False) for row in rows]
    scores = [score for metric in entry.metrics for score in metrics.METRICS[metric](targets, given, entry.labels)]
    assert entry.headline and set(entry.headline) <= set(scores)


def test_t5x_scores_an_example_as_seqio_hands_it_over():
    """Token ids under the plain names, bytes and arrays elsewhere: of WSC, SQuAD and ReCoRD, which look at more than the text."""
    program = (
        "import numpy as np, seqio, tasks.register\n"
        "def post(name, text, target, **example):\n"
        "    task = seqio.get_mixture_or_task(name)\n"
        "    example |= {'targets': np.array([7, 1]), 'targets_pretokenized': b'the cup'}\n"
        "    print(task.postprocess_fn(text, example=example, is_target=target))\n"
        "post('super_glue_wsc_v102_simple_eval', 'cup', False, label=np.int32(1))\n"
        "post('super_glue_wsc_v102_simple_eval', 'the cup', True, label=np.int32(0))\n"
        "post('squad_v010_allanswers', 'a', True, answers=np.array([b'a', b'the b'], object))\n"
        "numbers = {'idx/passage': np.int32(3), 'idx/query': np.int32(4)}\n"
        "post('super_glue_record_v102', 'a', True, answers=np.array([b'a'], object), **numbers)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=FOLDER.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True", "False", "['a', 'the b']", "{'answers': ['a'], 'group': '3-4'}"]


def test_short_names_are_of_tasks_and_stand_for_the_papers_form():
    assert set(catalog.aliases().values()) <= set(catalog.tasks())
    assert not set(catalog.aliases()) & set(catalog.tasks())
    assert catalog.full_name("boolq") == "taskless_super_glue_boolq_v102"
    assert catalog.lookup("boolq").text.word == "" and catalog.lookup("super_glue_boolq_v102").text.word == "boolq "


def test_the_references_names_are_there():
    """Those of google-research/prompt-tuning, without the `_examples` that only logs, and with today's version of GLUE."""
    for name in (
        *(
            f"{form}super_glue_{n}_v102"
            for form in ("", "taskless_")
            for n in "boolq cb copa multirc record rte wic axb axg".split()
        ),
        *(f"{form}glue_{n}_v200" for form in ("", "taskless_") for n in "cola sst2 mrpc qqp stsb mnli qnli rte wnli ax".split()),
        *("taskless_super_glue_wsc_v102_simple_train", "super_glue_wsc_v102_simple_eval", "taskless_dpr_v001_simple"),
        *("squad_v010_allanswers", "mrqa_bio_asq_v100", "mrqa_natural_questions_v100", "taskless_glue_mrpc_from_qqp_v200"),
    ):
        assert name in catalog.tasks()


def test_t5x_finds_every_task_and_mixture_in_seqios_registry():
    program = (
        "import seqio, tasks.register\n"
        "from tasks import catalog, mixtures\n"
        "tasks.register.register()  # again is no error\n"
        "print([n for n, e in catalog.tasks().items() if e.has_data and n not in seqio.TaskRegistry.names()])\n"
        "print(sorted(seqio.get_mixture_or_task('webster_topic').splits))\n"
        "print([n for n in mixtures.all_mixtures() if n not in seqio.MixtureRegistry.names()])\n"
        "boolq = seqio.get_mixture_or_task('taskless_super_glue_boolq_v102')\n"
        "answers = boolq.postprocess_fn(' True ', example={}, is_target=False), None\n"
        "print(boolq.metric_fns[0](['True', 'False'], answers), answers[0])\n"
        "print(len(seqio.get_mixture_or_task('taskless_super_glue_with_dpr_v102_proportional').tasks))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=FOLDER.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "['test']", "[]", "{'accuracy': 50.0} True", "10"]


def read(file: str) -> list[dict[str, str]]:
    with open(FOLDER / file, encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.parametrize("name", DEMO)
def test_the_rows_and_labels_of_a_demo_task_are_those_in_its_files(name):
    entry = catalog.lookup(name)
    columns = [column for _, column in entry.text.fields]
    for split, file in entry.data_files.items():
        rows = read(file)
        assert len(rows) == len({row["id"] for row in rows}) == entry.rows[split], file
        assert list(rows[0]) == ["id", *columns, "label"]
        assert {row["label"] for row in rows} == set(entry.labels), file
        assert all(row[column].strip() == row[column] != "" for row in rows for column in columns), file


def test_a_demo_tasks_rows_are_in_no_order_of_their_labels():
    """Rows that are grouped by label make a last tenth, or first rows, of one label."""
    for name in DEMO:
        for file in catalog.lookup(name).data_files.values():
            labels = [row["label"] for row in read(file)]
            assert set(labels[:60]) == set(labels[-60:]) == set(labels), file


def test_verse_pair_is_balanced():
    for file in catalog.lookup("verse_pair").data_files.values():
        labels = [row["label"] for row in read(file)]
        assert labels.count("same") == labels.count("different"), file


def test_webster_topic_trains_on_gloss_topic_and_is_asked_in_the_same_words():
    gloss, webster = catalog.lookup("gloss_topic"), catalog.lookup("webster_topic")
    assert (webster.text, webster.labels, webster.metrics) == (gloss.text, gloss.labels, gloss.metrics)
    assert [catalog.locate("webster_topic", split) for split in ("train", "validation", "test")] == [
        ("gloss_topic", "train"),
        ("gloss_topic", "validation"),
        ("webster_topic", "test"),
    ]


def test_a_task_of_the_users_own_is_a_module_and_a_name():
    entry = catalog.lookup("package.module:name/of.task")
    assert entry == catalog.Entry(module="package.module")
    assert (entry.splits, entry.labels, entry.metrics, entry.headline) == ({}, None, ("accuracy",), ("accuracy",))


@pytest.mark.parametrize("name", ["gloss", "", ":", "module:", ":task"])
def test_an_unknown_task_comes_with_the_choices(name):
    with pytest.raises(catalog.UnknownTask, match=f"no task '{name}'") as caught:
        catalog.lookup(name)
    assert set(caught.value.choices) == {*catalog.tasks(), *catalog.aliases()}


@pytest.mark.parametrize("name", DEMO)
def test_a_demo_task_is_a_seqio_task_of_its_own_files_in_its_format(name):
    from tasks import tab_separated

    entry = catalog.lookup(name)
    task = tab_separated.task(name, str(TINY))
    assert {split: task.num_input_examples(split) for split in task.splits} == {s: entry.rows[s] for s in entry.data_files}
    example = next(iter(task.get_dataset(None, "test", use_cached=False, shuffle=False).as_numpy_iterator()))
    row = read(entry.data_files["test"])[0]
    assert example["inputs_pretokenized"].decode() == DEMO[name].format(**row)
    assert (example["targets_pretokenized"].decode(), example["id"].decode()) == (row["label"], row["id"])
    assert example["inputs"][-1] == example["targets"][-1] == 1  # end of sequence


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
