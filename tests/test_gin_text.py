"""gin text means what it means to gin itself, and the text of a resolved configuration rebuilds it, here and in gin."""

import gin
import pytest
from example_commands import HEAD, SGD, Adam, Fit, Labels, Model, Uniform, load, write
from hypothesis import given, settings
from hypothesis import strategies as st

from ptune_cli import config, gin_text


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def as_gin_reads_it(text: str) -> Fit:
    gin.clear_config()
    try:
        gin.parse_config(text)
        return gin.get_configurable(Fit)()
    finally:
        gin.clear_config()


# Every feature of gin that files here may use.
GIN_TEXTS = {
    "nothing": "",
    "values": "ex.Fit.steps = 3\nex.Fit.output = 'a' \"'b'\"\nex.Fit.seeds = (1, 2,)\nex.Fit.remat = False",
    "reference": "ex.Fit.optimizer = @ex.SGD()\nex.SGD.learning_rate = 1e-5",
    "block": "ex.Fit.optimizer = @ex.Adam()\nex.Adam:\n  # a comment\n  factored = True\n\n  learning_rate = -0.5\n",
    "later wins": "ex.Fit.steps = 3\nex.Fit.steps = 4",
    "scopes": "ex.Fit.starts = (@ex.Uniform(), @a/ex.Uniform(), @a/b/ex.Uniform())\n"
    "ex.Uniform.low = -1.0\na/ex.Uniform.high = 2.0\na/b/ex.Uniform.high = 3.0",
    "scope reaches down": "ex.Fit.starts = (@a/ex.Labels(),)\nex.Labels.rest = @ex.Uniform()\na/ex.Uniform.low = 0.25",
    "inner scope replaces": "ex.Fit.starts = (@a/ex.Labels(),)\nex.Labels.rest = @b/ex.Uniform()\n"
    "a/ex.Uniform.low = 0.25\nb/ex.Uniform.high = 9.0",
    "macro": "ex.Fit.steps = %N\nex.Fit.seeds = (%N, 1)\nN = 7",
    "macro of a reference": "ex.Fit.optimizer = %OPT\nOPT = @ex.SGD()\nOPT/ex.SGD.learning_rate = 0.75",
    "macro of a macro": "A = %B\nB = 5\nex.Fit.steps = %A",
    "macro in a scope": "ex.Fit.steps = %deep/N\ndeep/N = 11",
    "lines": "ex.Fit.seeds = (\n  1,\n  2,  # two\n)",
    "two names for one module": "import example_commands\nexample_commands.Fit.steps = 8\nex.Fit.remat = False",
}


@pytest.mark.parametrize("text", GIN_TEXTS.values(), ids=GIN_TEXTS.keys())
def test_files_mean_what_they_mean_to_gin(text):
    assert load(text) == as_gin_reads_it(HEAD + text)


def test_nothing_is_left_in_gin():
    load("ex.Fit.steps = 3")
    assert "steps" not in gin.config_str()


texts = st.text(max_size=8)
floats = st.floats(allow_nan=False)
starts = st.one_of(
    st.builds(Uniform, low=floats, high=floats),
    st.builds(Labels, words=st.lists(texts, max_size=3).map(tuple), rest=st.builds(Uniform, low=floats)),
)
optimizers = st.one_of(
    st.builds(Adam, learning_rate=floats | st.lists(floats, max_size=3).map(tuple)),
    st.builds(SGD, learning_rate=st.floats(0)),
)
fits = st.builds(
    Fit,
    task=texts,
    steps=st.integers(),
    seeds=st.lists(st.integers(), max_size=3).map(tuple),
    output=st.none() | texts,
    optimizer=optimizers,
    starts=st.lists(starts, max_size=4).map(tuple),
    model=st.none() | st.builds(Model, checkpoint=texts),
    shape=st.tuples(st.integers(), texts),
    remat=st.booleans(),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(fit=fits)
def test_the_resolved_text_alone_rebuilds_an_equal_object_here_and_in_gin(fit):
    text = gin_text.write(fit)
    assert config.load(Fit, [write(text)]) == (fit, text)
    assert as_gin_reads_it(text) == fit


def test_the_resolved_text_leaves_out_what_is_not_saved():
    assert "dry_run" not in gin_text.write(Fit(task="sst2", dry_run=True))


def test_a_value_that_gin_cannot_write_is_named():
    with pytest.raises(TypeError, match="optimizer.learning_rate = nan"):
        gin_text.write(Fit(task="a", optimizer=SGD(learning_rate=float("nan"))))
