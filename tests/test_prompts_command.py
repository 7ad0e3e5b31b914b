"""`ptune prompts`: what is there, what one is, how two differ, and what is made of several."""

import json
import shutil
from pathlib import Path

import model_folder
import numpy as np
import pytest
from safetensors.numpy import save_file

from ptune_cli.base_model import BaseModel
from ptune_cli.commands import prompt_mixing, trained
from ptune_cli.formats import peft, prompt
from ptune_cli.formats.prompt import PromptFile

BASE = {"base_model": "/models/t5", "base_fingerprint": "ab" * 32, "vocabulary_sha256": "cd" * 32}
METADATA = {
    **BASE,
    "model": {"checkpoint": "/models/t5", "config": None},
    "task": "kinds",
    "placement": "prefix",
    "protocol": "rank",
}
SCORES = {"accuracy": 81.25, "f1": 70.0, "n": 12, "invalid": 0.0}
ORACLE = Path(__file__).parent / "oracles" / "peft" / "t5_1_1"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def found(ptune):
    """Runs a command with --json; returns what it printed."""

    def run(*arguments: object):
        code, out, errors = ptune("prompts", *arguments, "--json")
        assert (code, errors) == (0, "")
        return json.loads(out)

    return run


@pytest.fixture
def refused(ptune):
    """Runs a command line that is a mistake; returns its one line of standard error."""

    def run(*arguments: object) -> str:
        code, out, errors = ptune("prompts", *arguments)
        assert (code, out) == (2, "") and errors.startswith("ptune: error: ") and errors.count("\n") == 1
        return errors

    return run


def rows(seed: int, length: int = 4, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, width)).astype(np.float32)


def write(name: str, array: np.ndarray | None = None, **metadata) -> Path:
    """A prompt as a run writes it."""
    seed = len(name)
    given = {**METADATA, "seed": seed, "step": 100 * seed, "scores": SCORES, "recipe": f"a\nseed = {seed}\nb", **metadata}
    prompt.write(name, PromptFile(rows(seed) if array is None else array, {k: v for k, v in given.items() if v is not None}))
    return Path(name)


def test_every_prompt_below_a_folder_is_listed_once(found):
    write("runs/a/prompts/kinds-0")
    np.save("bare.npy", rows(0))
    shutil.copytree(ORACLE, "adapter")
    original = Path("model/numpy_checkpoints/checkpoint_20/encoder.prompt.prompt.prompt")
    original.parent.mkdir(parents=True)
    original.write_bytes(Path("bare.npy").read_bytes())
    for name, array in {"ids.npy": np.zeros((3, 4), np.int32), "images.npy": np.zeros((2, 3, 4), np.float32)}.items():
        np.save(name, array)
    save_file({"shared.weight": rows(0)}, "model.safetensors")
    (Path(".hidden")).mkdir()
    np.save(".hidden/bare.npy", rows(0))
    listed = {row["path"]: row for row in found("ls")}
    assert {path: (row["format"], row["length"], row["width"]) for path, row in listed.items()} == {
        "adapter": ("peft", 5, 16),
        "bare.npy": ("npy", 4, 8),
        "model/numpy_checkpoints/checkpoint_20": ("original", 4, 8),
        "runs/a/prompts/kinds-0": ("ptune", 4, 8),
    }
    own = listed["runs/a/prompts/kinds-0"]
    assert (own["task"], own["step"], own["scores"]) == ("kinds", 2200, SCORES)
    assert own["bytes"] == Path("runs/a/prompts/kinds-0/prompt.safetensors").stat().st_size
    assert [row["path"] for row in found("ls", "runs", "adapter")] == ["runs/a/prompts/kinds-0", "adapter"]
    assert [row["format"] for row in found("ls", "bare.npy")] == ["npy"]


def test_the_list_is_a_table_for_people(ptune):
    write("a/quite/long/path/that/is/not/to/be/cut/because/it/is/what/people/copy/prompts/kinds-0")
    code, out, errors = ptune("prompts", "ls")
    assert (code, errors) == (0, "")
    [line] = [line for line in out.splitlines() if "kinds-0" in line]
    for cell in ("4 x 8", "kinds", "t5 abababab", "accuracy 81.2, f1 70.0", "ptune", "copy/prompts/kinds-0"):
        assert cell in line
    Path("empty").mkdir()
    assert ptune("prompts", "ls", "empty")[1] == "no prompts here\n"


def test_a_prompt_that_cannot_be_read_is_named_beside_those_that_can(ptune, found):
    write("good")
    (write("bad") / "prompt.safetensors").write_bytes(b"\xff" * 100)
    assert [("error" in row, row["path"]) for row in found("ls")] == [(True, "bad"), (False, "good")]
    assert "cannot be read: cannot read prompt bad/prompt.safetensors" in ptune("prompts", "ls")[1]


def test_all_of_a_prompt_is_shown(ptune, found):
    place = write("one", array=np.diag([3.0, 1.0, 2.0]).astype(np.float32))
    [shown] = found("show", place)
    assert shown["norm"] == {"least": 1.0, "mean": 2.0, "largest": 3.0}
    assert shown["metadata"] == {**prompt.read(place).metadata}
    out = ptune("prompts", "show", place)[1]
    for told in ("3 rows of 3, float32", f"/models/t5 {'ab' * 32}", "1 to 3, 2 on average", "step: 300", "    seed = 3\n"):
        assert told in out
    np.save("bare.npy", np.ones((2, 3), np.float16))
    assert "does not say what it belongs to" in (bare := ptune("prompts", "show", "bare.npy")[1])
    assert "2 rows of 3, float16" in bare
    assert "rows 5 to 9 are left out" in ptune("prompts", "show", ORACLE)[1]


def test_the_values_have_one_checksum_in_every_format(found):
    place = write("one")
    peft.write(Path("adapter"), prompt.read(place).array, {}, None)
    assert len({row["sha256"] for row in found("show", place, place / "prompt.npy", "adapter")}) == 1


def test_two_prompts_are_compared_row_by_row(found, ptune):
    a = np.eye(4, 8, dtype=np.float32)
    b = a.copy()
    b[2] = 3 * np.eye(8)[5]
    one, other = write("one", array=a), write("three", array=b, task="other")
    diff = found("diff", one, other, "--rows", "1")
    assert diff["rows"] == 4 and not diff["equal"]
    assert diff["cosine"] == {"least": 0.0, "mean": 0.75, "largest": 1.0}
    assert diff["distance"]["largest"] == pytest.approx(10**0.5) and diff["distance"]["least"] == 0
    assert [row["row"] for row in diff["most_different"]] == [2]
    assert diff["metadata"] == {
        "recipe": ["seed = 3", "seed = 5"],
        "seed": [3, 5],
        "step": [300, 500],
        "task": ["kinds", "other"],
    }
    out = ptune("prompts", "diff", one, other)[1]
    assert "cosine of 4 rows: 0 to 1, 0.75 on average" in out and "  A  seed = 3\n  B  seed = 5\n" in out
    assert "the arrays are equal, bit for bit" in ptune("prompts", "diff", one, one / "prompt.npy")[1]


def test_prompts_of_two_lengths_are_compared_over_the_shorter(found):
    assert found("diff", write("one"), write("five", array=rows(3, length=6)))["rows"] == 4


def test_a_bare_array_is_compared_and_it_is_said_that_its_model_is_not_known(found):
    np.save("bare.npy", rows(9))
    [note] = found("diff", write("one"), "bare.npy")["notes"]
    assert note.startswith("bare.npy does not say")


def test_the_average_is_the_mean_and_says_of_what(found, ptune):
    places = [write(name) for name in ("a", "bb", "ccc")]
    [made] = found("average", *places, "--to", "mean")["made"]
    read = prompt.read("mean")
    np.testing.assert_allclose(read.array, np.mean([rows(seed) for seed in (1, 2, 3)], axis=0, dtype=np.float64), rtol=1e-6)
    assert read.metadata.keys() == {*METADATA, "length", "made", "format", "ptune_version"}
    parts = read.metadata["made"]["of"]
    assert [(part["prompt"], part["seed"], part["step"], part["scores"]) for part in parts] == [
        (name, len(name), 100 * len(name), SCORES) for name in ("a", "bb", "ccc")
    ]
    assert [row["sha256"] for row in found("show", *places)] == [part["sha256"] for part in parts]
    assert made["path"] == "mean"
    assert "  average of:\n    0.3333 a\n    0.3333 bb\n    0.3333 ccc\n" in ptune("prompts", "show", "mean")[1]


def test_what_the_parts_do_not_agree_in_is_not_said_of_the_average(found):
    found("average", write("a", task="one", target_length=3), write("bb", task="two"), "--to", "mean")
    metadata = prompt.read("mean").metadata
    assert "task" not in metadata and "target_length" not in metadata and metadata["protocol"] == "rank"


def test_the_prompts_of_a_run_are_averaged_together(found):
    for name in ("a", "bb"):
        write(f"run/prompts/{name}")
    assert [part["prompt"] for part in found("average", "run", "--to", "m.safetensors")["made"][0]["of"]] == [
        "run/prompts/a",
        "run/prompts/bb",
    ]
    assert Path("m.safetensors").is_file()


def test_a_point_between_two_prompts_is_one_and_several_are_a_run_of_prompts(found):
    a, b = write("a"), write("bb")
    found("interpolate", a, b, "--to", "half")
    np.testing.assert_allclose(prompt.read("half").array, (rows(1) + rows(2)) / 2, rtol=1e-5, atol=1e-6)
    made = found("interpolate", a, b, "--at", "0,0.25,1", "--to", "between")["made"]
    assert [row["path"] for row in made] == [f"between/prompts/{t}" for t in ("0", "0.25", "1")]
    np.testing.assert_array_equal(prompt.read("between/prompts/0").array, rows(1))
    np.testing.assert_array_equal(prompt.read("between/prompts/1").array, rows(2))
    np.testing.assert_allclose(prompt.read("between/prompts/0.25").array, 0.75 * rows(1) + 0.25 * rows(2), rtol=1e-5, atol=1e-6)
    assert found("diff", "between/prompts/0", a)["equal"]


WRONG = {
    "width": ({"array": rows(1, width=6)}, "differ in their width: 8 and 6"),
    "model": (
        {"base_fingerprint": "12" * 32, "base_model": "other"},
        "base model: '/models/t5' (abababab) and 'other' (12121212)",
    ),
    "vocabulary": ({"vocabulary_sha256": "34" * 32}, f"differ in their vocabulary: '{'cd' * 32}' and '{'34' * 32}'"),
}
WRONG_MIX = {
    "length": ({"array": rows(1, length=6)}, "differ in their length: 4 and 6"),
    "placement": ({"placement": "suffix"}, "differ in their placement: 'prefix' and 'suffix'"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("what", [("diff",), ("average", "--to", "new"), ("interpolate", "--to", "new")])
def test_prompts_of_two_models_are_refused_and_what_differs_is_named(what, wrong, refused):
    changes, named = WRONG[wrong]
    error = refused(*what, write("one"), write("other", **changes))
    assert "one and other differ" in error and named in error
    assert not Path("new").exists()


@pytest.mark.parametrize("wrong", WRONG_MIX)
@pytest.mark.parametrize("what", ["average", "interpolate"])
def test_prompts_that_do_not_lie_in_the_same_places_are_not_mixed(what, wrong, refused):
    changes, named = WRONG_MIX[wrong]
    assert named in refused(what, write("one"), write("other", **changes), "--to", "new")


MISTAKES = {
    "shw one": "--what: 'shw' should be 'ls', 'show', 'diff', 'average' or 'interpolate'",
    "show": "prompts show takes 1 or more prompts, not 0; ptune prompts show PROMPT...",
    "show oen": "no run or prompt at 'oen'; in .: did you mean 'one'?",
    "ls oen": "no folder 'oen'; in .: did you mean 'one'?",
    "ls ids.npy": "prompt ids.npy has shape (3,)",
    "diff one": "prompts diff takes 2 prompts, not 1; ptune prompts diff A B",
    "diff one two one": "prompts diff takes 2 prompts, not 3",
    "diff one two --rows -1": "--rows: rows is -1; expected 0 or more",
    "average one --to new": "prompts average takes 2 or more prompts, not 1",
    "average one two": "prompts average does not say where to write; ptune prompts average A B... --to OUT",
    "show one --to new": "prompts show writes nothing, so --to has no meaning",
    "average one two --to one": "one exists",
    "interpolate one two --to one": "one exists",
    "interpolate one two --to new --at 1.5": "--at: at is (1.5,); expected different numbers between 0 (A) and 1 (B)",
    "interpolate one two --to new --at 0.5,0.5": "--at: at is (0.5, 0.5); expected different numbers",
    "interpolate one two --to new --at nan": "--at: 'nan' should be tuple of float",
    "interpolate one two --to new --at half": "--at: 'half' should be tuple of float",
}


@pytest.mark.parametrize(("line", "message"), MISTAKES.items())
def test_a_mistake_is_one_line(line, message, refused):
    write("one")
    write("two")
    np.save("ids.npy", np.zeros(3, np.float32))
    assert refused(*line.split()).startswith(f"ptune: error: {message}")
    assert not Path("new").exists()


def test_help_has_an_example_of_each(ptune):
    out = ptune("prompts", "--help")[1]
    for what in ("ls", "show", "diff", "average", "interpolate"):
        assert f"Example: ptune prompts {what} " in out


def test_a_prompt_that_was_made_belongs_to_the_model_of_its_parts(tmp_path):
    """As a trained one does: what loads it finds its model, and checks that it is that."""
    frozen = BaseModel(checkpoint=str(model_folder.write(tmp_path / "model"))).load()
    base = {"base_model": frozen.name, "base_fingerprint": frozen.fingerprint, "vocabulary_sha256": frozen.vocabulary.sha256}
    own = {**base, "model": BaseModel(checkpoint=frozen.name).as_json(), "placement": "suffix", "input_length": 48}
    places = [write(name, array=rows(len(name), width=16), **own) for name in ("a", "bb")]
    prompt_mixing.average(places, Path("mean"))
    [found] = trained.find("mean")
    assert (found.member.name, found.member.task, found.member.prompt.placement) == ("mean", "kinds", "suffix")
    assert (found.input_length, found.protocol) == (48, "rank")
    assert trained.load([found], trained.base_model([found], None), frozen) is frozen
