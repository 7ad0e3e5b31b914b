"""gin files and flags become one object: the right one, traced to its lines, or one line that says what is wrong."""

import os
import threading
from pathlib import Path

import pytest
from example_commands import HEAD, SGD, Adam, Fit, Labels, Model, Refit, Schedule, Uniform, load, write

from ptune_cli import config
from ptune_cli.config import explain, search
from ptune_cli.errors import UserError


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_an_include_is_read_in_place():
    write(HEAD + "ex.Fit.steps = 1\nex.Fit.remat = False", "base/first.gin")
    write("include 'base/first.gin'\n" + HEAD + "ex.Fit.steps = 2")
    assert config.load(Fit, ["run.gin"])[0] == Fit(task="sst2", steps=2, remat=False)


def test_objects_are_the_plain_classes():
    assert type(load("ex.Fit.optimizer = @ex.SGD()").optimizer) is SGD


def test_settings_of_a_class_reach_objects_that_are_python_defaults():
    assert load("ex.Schedule.warmup_steps = 5").optimizer == Adam(schedule=Schedule(warmup_steps=5))


def test_settings_of_a_class_reach_those_derived_from_it_unless_the_same_is_set_of_them():
    file = write(HEAD + "ex.Refit.seeds = (1,)\nex.Fit.steps = 1\nex.Fit.seeds = (2,)\nex.Fit.optimizer = @ex.SGD()")
    found = config.resolve(Refit, [file], ["Fit.remat=False"])
    assert found.object == Refit(task="sst2", steps=1, seeds=(1,), optimizer=SGD(), remat=False) and found.unused == []
    assert config.resolve(Fit, [file]).object.seeds == (2,)
    assert config.resolve(Refit, [file], ["Refit.steps=3"]).object.steps == 3


def test_a_flag_wins_over_a_gin_flag_which_wins_over_files():
    assert load("ex.Fit.steps = 1").steps == 1
    assert load("ex.Fit.steps = 1", ["Fit.steps=2"]).steps == 2
    assert load("ex.Fit.steps = 1", ["Fit.steps=2"], steps="3").steps == 3


def test_of_two_files_the_later_wins():
    first, second = write(HEAD + "ex.Fit.steps = 1", "1.gin"), write(HEAD + "ex.Fit.steps = 2", "2.gin")
    assert config.load(Fit, [first, second])[0].steps == 2
    assert config.load(Fit, [second, first])[0].steps == 1


@pytest.mark.parametrize("name", ["Fit.output", "example_commands.Fit.output"])
@pytest.mark.parametrize("value", ["runs/x", "'runs/x'", '"runs/x"'])
def test_nested_quotes_after_a_gin_flag_are_optional(name, value):
    assert load(bindings=[f"{name}={value}"]).output == "runs/x"


def test_a_macro_may_be_set_from_the_command_line():
    assert load("ex.Fit.steps = %N\nN = 7", ["N=9"]).steps == 9
    assert load("ex.Fit.output = %FOLDER", ["FOLDER=a/b"]).output == "a/b"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"seeds": "0,1,2"}, {"seeds": (0, 1, 2)}),
        ({"seeds": ""}, {"seeds": ()}),
        ({"seeds": "(4, 5)"}, {"seeds": (4, 5)}),
        ({"output": "None"}, {"output": None}),
        ({"output": "'None'"}, {"output": "None"}),
        ({"output": "(1, 2)"}, {"output": "(1, 2)"}),
        ({"output": "123"}, {"output": "123"}),
        ({"shape": "3,b"}, {"shape": (3, "b")}),
        ({"remat": "false"}, {"remat": False}),
        ({"optimizer.learning_rate": "0.1"}, {"optimizer": Adam(learning_rate=0.1)}),
        ({"optimizer.learning_rate": "1,1e-5"}, {"optimizer": Adam(learning_rate=(1.0, 1e-5))}),
        ({"optimizer.schedule.shape": "linear"}, {"optimizer": Adam(schedule=Schedule(shape="linear"))}),
        ({"optimizer": "sgd", "optimizer.learning_rate": "3"}, {"optimizer": SGD(learning_rate=3.0)}),
        ({"optimizer": "@SGD()"}, {"optimizer": SGD()}),
        ({"model.checkpoint": "/t5"}, {"model": Model(checkpoint="/t5")}),
        ({"starts": "uniform,labels", "starts.1.words": "a,b"}, {"starts": (Uniform(), Labels(words=("a", "b")))}),
        ({"steps": 4, "model": Model(checkpoint="/t5")}, {"steps": 4, "model": Model(checkpoint="/t5")}),
    ],
    ids=str,
)
def test_a_flag_is_read_as_its_field_is_annotated(flags, expected):
    assert config.load(Fit, flags={"task": "sst2", **flags})[0] == Fit(task="sst2", **expected)


def test_values_from_files_become_what_the_annotation_says():
    fit = load("ex.Fit.seeds = [1, 2]\nex.Fit.optimizer = @ex.SGD()\nex.SGD.learning_rate = 1")
    assert (fit.seeds, fit.optimizer.learning_rate) == ((1, 2), 1.0)
    assert type(fit.optimizer.learning_rate) is float


def test_eight_threads_load_eight_configurations():
    found: dict[int, Fit] = {}
    files = [write(HEAD + f"ex.Fit.steps = {i}", f"{i}.gin") for i in range(8)]

    def run(i: int) -> None:
        for _ in range(20):
            found[i] = config.load(Fit, [files[i]])[0]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i].steps for i in range(8)] == list(range(8))


def test_explain_says_where_each_value_was_set():
    write(HEAD + "ex.Fit.steps = %N\nex.Fit.seeds = (1,)\nN = 3\nex.SGD.learning_rate = 1.0")
    resolved = config.resolve(Fit, ["run.gin"], ["Adam.factored=True"], {"seeds": "2", "starts.0.low": "0.1"})
    assert {row.name: (row.value, row.origin) for row in resolved.rows if row.origin != "default"} == {
        "task": ("sst2", "run.gin:3"),
        "steps": (3, "run.gin:4 = %N, run.gin:6"),
        "seeds": ((2,), "--seeds"),
        "optimizer.factored": (True, "--gin.Adam.factored"),
        "starts.0.low": (0.1, "--starts.0.low"),
    }
    table = explain.table(resolved).splitlines()
    assert "seeds                            (2,)        --seeds (was set in run.gin:5)" in table
    assert "optimizer.schedule.warmup_steps  0           default" in table
    assert table[-1] == "not used: example_commands.SGD.learning_rate (run.gin:7)"


MISTAKES = {
    # a file that opens with HEAD's three lines -> what is said about it
    "ex.Fit.stps = 3": "run.gin:4: example_commands.Fit has no parameter 'stps'; did you mean 'steps'?",
    "ex.Fti.steps = 3": "run.gin:4: example_commands has no 'Fti'; did you mean 'Fit'?",
    "fit.Fit.steps = 3": "run.gin:4: 'fit' in 'fit.Fit' is not imported by this file; (have: ex)",
    "ex.Fti:\n  steps = 3": "run.gin:4: example_commands has no 'Fti'",
    "ex.UserError.hint = 3": "run.gin:4: 'ex.UserError' is not a dataclass",
    "ex.Fit.steps = 'many'": "run.gin:4: example_commands.Fit.steps = 'many' (str) should be int",
    "ex.Fit.steps = True": "run.gin:4: example_commands.Fit.steps = True (bool) should be int",
    "ex.Fit.seeds = (1, 'b')": "run.gin:4: example_commands.Fit.seeds = (1, 'b') (tuple) should be tuple of int",
    "ex.Fit.shape = (1, 'b', 2)": "run.gin:4: example_commands.Fit.shape = (1, 'b', 2) (tuple) should be tuple of int or str",
    "ex.Fit.optimizer = @ex.Uniform()": "run.gin:4: example_commands.Fit.optimizer = Uniform (Uniform) should be Adam or SGD",
    "ex.Fit.starts = (@ex.SGD(),)": "run.gin:4: example_commands.Fit.starts = (SGD,) (tuple) should be tuple of Initializer",
    "ex.Fit.starts = (@ex.Nope(),)": "run.gin:4: example_commands has no 'Nope'",
    "ex.Schedule.shape = 'cosine'": "run.gin:4: example_commands.Schedule.shape = 'cosine' (str) should be 'constant'",
    "ex.Schedule.warmup_steps = -1": "run.gin:4: example_commands.Schedule: warmup_steps is -1, expected 0 or more",
    "ex.Fit.optimizer = @ex.SGD": "run.gin:4: '@ex.SGD' does not end in (); write @ex.SGD()",
    "ex.Fit.steps = %NN\nN = 1": "run.gin:4: %NN is not defined; did you mean 'N'?",
    "A = %B\nB = %A\nex.Fit.steps = %A": "example_commands.Fit cannot be built; a macro or a reference leads back to itself",
    "ex.Fit.output = sst2": "run.gin:4: cannot read 'sst2' as a value; text needs quotes",
    "ex.Fit.steps": "run.gin:4: Couldn't parse statement",
    "ex.Fit.steps = 1 2": "run.gin:4: Expected newline",
    "ex.Fit.seeds = (1,\n": "run.gin:",
    "ex.Fit.output = 'a\n": "run.gin:4:",
    "ex.Fit:\nsteps = 1": "run.gin:5: Expected indentation",
    "include 'nope.gin'": "run.gin:4: no gin file 'nope.gin'",
    "include 'run.gin'": "run.gin:4: 'run.gin' includes itself; run.gin -> run.gin",
    "from ptune_cli.config import redaing": "run.gin:4: no module 'ptune_cli.config.redaing'; did you mean 'reading'?",
    "from ptune_cli.errors import UserError": "run.gin:4: 'ptune_cli.errors.UserError' is no module; import ptune_cli.errors",
    "import nonesuch": "run.gin:4: no module 'nonesuch'",
    "ex.Fit.task = %gin.REQUIRED": "example_commands.Fit.task is not set; give TASK",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_a_mistake_in_a_file_is_one_line_that_names_the_line(text, message):
    with pytest.raises(UserError) as caught:
        load(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_an_included_file_names_that_file():
    write(HEAD + "ex.Fit.stps = 3", "base.gin")
    with pytest.raises(UserError, match=r"^base.gin:4: .* no parameter 'stps'"):
        load("include 'base.gin'")


def test_a_file_that_is_missing_or_not_text_is_named():
    write(HEAD, "runs/boolq.gin")
    with pytest.raises(UserError, match=r"no gin file 'runs/bolq.gin'; did you mean 'runs/boolq.gin'"):
        config.load(Fit, ["runs/bolq.gin"])
    Path("binary.gin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="binary.gin is not a text file"):
        config.load(Fit, ["binary.gin"])


FLAG_MISTAKES = [
    ({"steps": "many"}, [], "--steps: 'many' should be int"),
    ({"seeds": "1,b"}, [], "--seeds: '1,b' should be tuple of int"),
    ({"optimizer": "adagrad"}, [], "--optimizer: 'adagrad' should be Adam or SGD"),
    ({"optimizer.lr": "1"}, [], "--optimizer.lr: example_commands.Adam has no parameter 'lr'; (have: factored,"),
    (
        {"optimizer": "sgd", "optimizer.learning_rate": "-1"},
        [],
        "--optimizer.learning_rate: a learning rate of -1.0",
    ),
    ({"steps.x": "1"}, [], "--steps.x has nothing to act on"),
    ({"optimizer": "@Adma()"}, [], "--optimizer: no class 'Adma'; did you mean 'Adam'?"),
    ({"optimizer": "@Adam"}, [], "--optimizer: '@Adam' does not end in ()"),
    ({"seeds": "(1"}, [], "--seeds: cannot read '(1'"),
    ({"model.dtype": "bfloat16"}, [], "example_commands.Model.checkpoint is not set; give --model.checkpoint"),
    ({}, ["Fit.stps=1"], "--gin.Fit.stps: example_commands.Fit has no parameter 'stps'; did you mean 'steps'?"),
    ({}, ["Fit.steps=many"], "--gin.Fit.steps: 'many' should be int"),
    ({}, ["Fti.steps=1"], "--gin.Fti.steps: no class 'Fti'; did you mean 'Fit'?"),
    ({}, ["Fit.steps"], "--gin.Fit.steps has no value"),
    ({}, ["SGD.learning_rate=1"], "--gin.SGD.learning_rate: nothing uses example_commands.SGD.learning_rate"),
    ({}, ["steps=1"], "--gin.steps: nothing uses steps"),
]


@pytest.mark.parametrize(("flags", "bindings", "message"), FLAG_MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_in_a_flag_is_one_line_that_names_the_flag(flags, bindings, message):
    with pytest.raises(UserError) as caught:
        load("", bindings, **flags)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_required_and_not_set_is_named():
    with pytest.raises(UserError, match="example_commands.Fit.task is not set; give TASK, or set it in a gin file"):
        config.load(Fit)


def test_a_gin_file_is_found_by_path_by_search_path_and_among_those_shipped(monkeypatch, tmp_path):
    monkeypatch.setattr(search, "SHIPPED", tmp_path / "shipped")
    write(HEAD + "ex.Fit.steps = 1", "shipped/runs/x.gin")
    write(HEAD + "ex.Fit.steps = 2", "mine/runs/x.gin")
    write(HEAD + "ex.Fit.steps = 3", "here.gin")
    os.makedirs("runs/x.gin")  # a folder of that name is not the file
    steps = [
        config.load(Fit, [name], search_paths=paths)[0].steps
        for name, paths in [
            ("runs/x.gin", []),
            ("gin/runs/x.gin", []),
            ("runs/x.gin", ["mine"]),
            ("here.gin", ["mine"]),
            (str(tmp_path / "here.gin"), []),
        ]
    ]
    assert steps == [1, 1, 2, 3, 3]
    monkeypatch.setenv("PTUNE_GIN_PATH", os.pathsep.join(["nowhere", "mine"]))
    assert config.load(Fit, ["runs/x.gin"])[0].steps == 2
