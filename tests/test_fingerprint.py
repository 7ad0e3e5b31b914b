"""A prepared split is found again exactly when what it is made from is the same; the user's module is read, not run."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from ptune_cli.data.fingerprint import fingerprint
from ptune_cli.data.prepared import find
from ptune_cli.data.sources import source_files
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError

TINY = Path(__file__).parent / "data" / "tiny.spiece.model"
TREE = {
    "mine.py": "raise RuntimeError('imported')\nimport beside, installed\nfrom package.deep import tasks\nDATA = 'rows.tsv'\n",
    "beside.py": "import os\n",
    "rows.tsv": "a\tb\n",
    "package/__init__.py": "",
    "package/deep/__init__.py": "from . import text\nfrom ..common import x\nimport package.unused.absent\n",
    "package/deep/tasks.py": "import mine\n",
    "package/deep/text.py": "",
    "package/common.py": "x = 1\n",
    "package/unrelated.py": "",
    "namespace/inner/task.py": "",
    "broken.py": "def f(:\n",
    ".venv/lib/site-packages/installed.py": "",
}


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(TINY)


def test_the_sources_of_a_task_are_its_module_and_what_it_imports_beside_it(tree):
    used = {"mine", "beside", "package", "package.deep", "package.deep.tasks", "package.deep.text", "package.common"}
    assert set(source_files("mine")) == used
    assert source_files("package.deep")["package.common"] == tree / "package" / "common.py"
    assert set(source_files("namespace.inner.task")) == {"namespace.inner.task"}


def test_a_package_installed_below_the_current_folder_is_not_the_users_code(tree, monkeypatch):
    monkeypatch.syspath_prepend(tree / ".venv" / "lib" / "site-packages")
    assert "installed" not in source_files("mine")
    assert set(source_files("installed")) == {"installed"}


def test_a_users_module_is_not_run(tree, vocabulary):
    fingerprint("mine:task", "train", vocabulary)
    assert not {"mine", "beside", "package"} & set(sys.modules)


@pytest.mark.parametrize("name", ["mine.py", "beside.py", "rows.tsv", "package/common.py", "package/deep/text.py"])
def test_a_change_of_any_file_it_uses_changes_the_fingerprint(tree, vocabulary, name):
    before = fingerprint("mine:task", "train", vocabulary)
    assert before == fingerprint("mine:task", "train", vocabulary)
    (tree / name).write_text(TREE[name] + "# changed\n")
    assert fingerprint("mine:task", "train", vocabulary) != before


def test_a_change_of_another_file_does_not(tree, vocabulary):
    before = fingerprint("mine:task", "train", vocabulary)
    (tree / "package" / "unrelated.py").write_text("# changed\n")
    os.utime(tree / "mine.py", (1, 1))
    assert fingerprint("mine:task", "train", vocabulary) == before


def test_task_split_and_vocabulary_change_the_fingerprint_and_the_folder_does_not(
    tree, vocabulary, monkeypatch, tmp_path_factory
):
    before = fingerprint("mine:task", "train", vocabulary)
    assert fingerprint("mine:task", "validation", vocabulary) != before
    assert fingerprint("mine:other", "train", vocabulary) != before
    another = Vocabulary(TINY)
    another.sha256 = "of another file"
    assert fingerprint("mine:task", "train", another) != before
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(tree, elsewhere)
    monkeypatch.chdir(elsewhere)
    assert fingerprint("mine:task", "train", vocabulary) == before


def test_the_name_of_an_entry_is_a_file_name_that_can_be_read(tree, vocabulary):
    folder = find("package.deep:my/task", "train", vocabulary, tree)
    assert folder.parent == tree / "prepared"
    assert folder.name.startswith("package.deep-my-task-train-")


@pytest.mark.parametrize(
    ("task", "split", "message"),
    [
        ("gloss_topik", "train", "no task 'gloss_topik'; did you mean 'gloss_topic'? (have: ax, axb"),
        (
            "gloss_topic",
            "valid",
            "task 'gloss_topic' has no split 'valid'; did you mean 'validation'? (have: test, train, validation)",
        ),
        ("mime:task", "train", "no module 'mime' on the import path or in "),
        ("mime:task", "train", "did you mean 'mine'?"),
        ("mine.py:task", "train", "did you mean 'mine'?"),
        ("package.depe:task", "train", "did you mean 'package.deep'?"),
        ("absent.deep:task", "train", "no module 'absent.deep'"),
        (":task", "train", "no task ':task'"),
        ("mine:", "train", "no task 'mine:'"),
        ("broken:task", "train", "broken.py, line 1: invalid syntax"),
    ],
)
def test_a_mistake_in_a_tasks_name_is_one_line_with_the_nearest(tree, vocabulary, task, split, message):
    with pytest.raises(UserError) as caught:
        fingerprint(task, split, vocabulary)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
