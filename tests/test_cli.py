"""The command line: what is printed, what the exit code is, and that a mistake is one line."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ptune_cli import __version__, cli

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def example_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, "fit", ("example_commands", "Fit", "fit prompts to a task"))
    monkeypatch.setitem(cli.COMMANDS, "ready", ("example_commands", "Prepare", "prepare tasks"))
    Path("run.gin").write_text("# a run\nimport example_commands\nexample_commands.Fit:\n  task = 'sst2'\n  steps = 7\n")


@pytest.fixture
def ptune(capsys):
    """Runs a command line; returns exit code, standard output, standard error."""

    def run(line: str) -> tuple[int, str, str]:
        code = cli.main(line.split())
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_a_command_runs_with_files_and_flags(ptune):
    assert ptune("fit --gin run.gin") == (0, "sst2 for 7 steps\n", "")
    assert ptune("fit --gin run.gin --steps 3 --dry-run") == (0, "sst2 for 3 steps, not really\n", "")
    assert ptune("fit --gin_file=run.gin --gin.Fit.steps=4 --dry_run true") == (0, "sst2 for 4 steps, not really\n", "")


def test_the_exit_code_is_what_the_command_returns(ptune):
    assert ptune("fit partly")[0] == 3


@pytest.mark.parametrize("line", ["ready a b --json", "ready --json a b", "ready a b --json=true", "ready --json -- a b"])
def test_arguments_without_a_name_fill_the_positional_fields(ptune, line):
    assert ptune(line) == (0, "['a', 'b']\n", "")


@pytest.mark.parametrize(("flags", "printed"), [("--json", "['a']"), ("--no-json", "a"), ("--json false", "a"), ("", "a")])
def test_a_switch_is_given_as_itself_as_no_or_with_a_value(ptune, flags, printed):
    assert ptune(f"ready a {flags}")[1].strip() == printed


@pytest.mark.parametrize("folders", ["--gin_search_paths=x,files", "--gin_search_paths x --gin_search_paths files"])
def test_gin_files_are_found_in_the_search_paths(ptune, folders):
    Path("files").mkdir()
    Path("run.gin").rename("files/other.gin")
    assert ptune(f"fit {folders} --gin other.gin")[0] == 0


def test_gin_files_may_import_modules_of_the_current_folder(ptune, monkeypatch):
    Path("mine_alone.py").write_text("from dataclasses import dataclass\n@dataclass\nclass Nothing:\n    x: int = 0\n")
    Path("own.gin").write_text("import mine_alone\nmine_alone.Nothing.x = 1\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    code, _, error = ptune("fit sst2 --gin own.gin")
    assert (code, error) == (0, "ptune: warning: nothing uses mine_alone.Nothing.x (own.gin:2)\n")


MISTAKES = {
    "": "no command; see ptune --help (have: convert,",
    "tarin": "no command 'tarin'; did you mean 'train'?",
    "fit": "example_commands.Fit.task is not set; give TASK",
    "fit sst2 --stpes 3": "no flag --stpes; did you mean '--steps'?",
    "fit sst2 --explian": "no flag --explian; did you mean '--explain'?",
    "fit sst2 --json": "no flag --json",
    "fit sst2 --no-steps": "no flag --no_steps",
    "fit sst2 --steps": "--steps has no value; expected int",
    "fit sst2 --steps --remat": "--steps has no value; expected int",
    "fit sst2 --steps many": "--steps: 'many' should be int",
    "fit sst2 --remat=maybe": "--remat: 'maybe' should be bool",
    "fit sst2 boolq": "unexpected argument 'boolq'",
    "fit sst2 --seeds 1 2": "unexpected argument '2'; a list is written a,b,c",
    "fit --gin none.gin": "no gin file 'none.gin'; did you mean 'run.gin'? (have: run.gin)",
    "fit --gin run.gin --gin.Fit.steps": "--gin.Fit.steps has no value",
    "fit broken": "the task is broken; choose another",
    "fit full": "/runs/state: No space left on device",
}


@pytest.mark.parametrize(("line", "message"), MISTAKES.items())
def test_a_mistake_is_one_line_on_standard_error_and_exit_code_2(ptune, line, message):
    code, out, error = ptune(line)
    assert (code, out) == (2, "")
    assert error.startswith(f"ptune: error: {message}")
    assert error.count("\n") == 1


ENDS = {
    "stopped": (130, "interrupted\n"),
    "diverged": (1, "error: the loss of sst2-0 is not finite at step 3; lower the learning rate\n"),
    "preempted": (75, "stopped at step 3, which is saved\n"),
}


@pytest.mark.parametrize(("task", "end"), ENDS.items())
def test_a_run_that_cannot_finish_says_why_in_one_line_and_in_its_exit_code(ptune, task, end):
    code, line = end
    assert ptune(f"fit {task}") == (code, "", f"ptune: {line}")


def test_help_says_what_the_exit_codes_mean(ptune):
    codes = ptune("--help")[1].partition("exit codes: ")[2].partition("\n\n")[0]
    assert [part.split()[0] for part in codes.split(";")] == ["0", "1", "2", "74", "75", "130"]


def test_a_bug_keeps_its_traceback(ptune):
    with pytest.raises(FileNotFoundError):
        ptune("fit bug")


def test_a_reader_that_goes_away_is_no_error():
    script = "import sys; from ptune_cli import cli; sys.exit(cli.main(['--help']) if sys.stdin.readline() else 1)"
    python = subprocess.Popen(
        [sys.executable, "-uc", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert python.stdout
    python.stdout.close()  # before anything is written
    python.stdout = None
    assert python.communicate(b"go\n")[1] == b""
    assert python.returncode == 141


def test_version(ptune):
    assert ptune("--version") == (0, f"ptune {__version__}\n", "")


def test_help_lists_every_command(ptune):
    code, out, _ = ptune("--help")
    assert code == 0
    assert all(f"  {name:<10} {text}\n" in out for name, (_, _, text) in cli.COMMANDS.items())


def test_help_of_a_command_has_its_docstring_and_the_comment_on_each_field(ptune):
    code, out, _ = ptune("fit --help")
    assert code == 0
    assert out.startswith("usage: ptune fit TASK [--gin FILE]")
    assert "Example: ptune fit sst2 --steps 200" in out
    for line in (
        "  TASK (or --task TEXT)                 what to learn (required)",
        "  --steps INT                           of the optimizer (default 30000)",
        "  --output TEXT                         where the results go; an existing folder resumes",
        "  --optimizer Adam|SGD                  (default Adam)",
        "                                        one, or one per prompt (default 0.3)",
        "    --starts.N.high FLOAT               (default 0.5)",
        "  --remat                               (default; --no-remat turns it off)",
    ):
        assert line in out.splitlines()


def test_explain_prints_each_value_and_where_it_was_set(ptune):
    code, out, _ = ptune("fit --gin run.gin --steps 3 --explain")
    assert code == 0
    assert "steps                            3           --steps (was set in run.gin:5)" in out.splitlines()
    assert "task                             'sst2'      run.gin:4" in out.splitlines()


def test_explain_as_json_holds_the_text_that_rebuilds_the_run(ptune):
    code, out, _ = ptune("fit --gin run.gin --steps 3 --explain --json")
    explained = json.loads(out)
    assert code == 0
    assert {"name": "steps", "value": 3, "set_by": "--steps", "replaces": "run.gin:5"} in explained["values"]
    Path("again.gin").write_text(explained["config"])
    assert ptune("fit --gin again.gin")[1] == "sst2 for 3 steps\n"


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name not in ("fit", "ready")])
def test_every_command_is_a_frozen_dataclass_with_help_and_an_example(ptune, name):
    module, class_name, _ = cli.COMMANDS[name]
    cls = getattr(__import__(module, fromlist=[class_name]), class_name)
    assert dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen
    assert callable(cls.run)
    code, out, _ = ptune(f"{name} --help")
    assert code == 0
    assert f"ptune {name} " in out.partition("usage: ")[2].partition("\n")[2]  # the example is not the usage line
