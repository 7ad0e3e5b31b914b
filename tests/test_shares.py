"""`ptune sweep --share I/N`: processes that never speak to each other divide a sweep."""

import itertools
import json
from pathlib import Path

import pytest
import sweep_settings
from same_run import starts

from ptune_cli.errors import UserError
from ptune_cli.sweeps.joining import join, runs
from ptune_cli.sweeps.points import Point, Run, expand
from ptune_cli.sweeps.shares import Share

TESTS = Path(__file__).parent  # the module of the task is found in the current folder
OVER = ["prompt.length=2 5", "steps=4 6 8", "optimizer.learning_rate=0.3 0.1,0.2"]  # three banks, and six of one point


@pytest.fixture(scope="module")
def settings(model, tmp_path_factory) -> str:
    """A gin file of short runs on the tiny model."""
    return sweep_settings.write(tmp_path_factory.mktemp("gin"), model)


def shares(points: list[Point], count: int) -> list[list[str]]:
    """The names of each share's points."""
    return [[point.name for point in Share(i, count).of(points)] for i in range(count)]


def finish(run: Run) -> None:
    """What tells a finished run."""
    run.folder.mkdir(parents=True)
    (run.folder / "config.gin").write_text(run.text)
    (run.folder / "results.json").write_text("{}")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 20])
def test_every_point_is_in_one_share(settings, tmp_path, count):
    points = expand([settings], OVER, str(tmp_path))
    names = [name for own in shares(points, count) for name in own]
    assert sorted(names) == sorted(point.name for point in points)
    assert sum(map(bool, shares(points, count))) == min(count, 9)


@pytest.mark.parametrize("count", [2, 3])
def test_shares_train_no_run_twice_whatever_has_finished_when_each_of_them_starts(settings, tmp_path, count):
    for i, order in enumerate(itertools.permutations(range(count))):
        points = expand([settings], OVER, str(tmp_path / str(i)))
        finish(points[0])  # alone, before there were shares
        trained = []
        for number in order:
            left = [run for run in runs(join(Share(number, count).of(points))) if not run.finished()]
            for run in left[: number + 1]:  # a share that is not through when the next one starts
                finish(run)
            trained += left
        names = [point.name for run in trained for point in run.points]
        assert sorted([points[0].name, *names]) == sorted(point.name for point in points)


def test_a_bank_that_began_before_the_grid_grew_goes_on_in_one_share(settings, tmp_path):
    [bank] = runs(join(expand([settings], ["prompt.length=5 7"], str(tmp_path))))
    bank.folder.mkdir()
    (bank.folder / "config.gin").write_text(bank.text)
    points = expand([settings], ["prompt.length=2 5 7 9"], str(tmp_path))
    assert [[run.name for run in runs(join(Share(i, 2).of(points)))] for i in (0, 1)] == [["2+9", "5+7"], []]


@pytest.mark.parametrize("text", ["", "1", "4/4", "-1/4", "1/0", "a/b", "1/2/3"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(UserError, match="expected I/N, as 0/4, 1/4, 2/4 or 3/4"):
        Share.parse(text)


def test_the_last_share_to_end_compares(settings, ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(TESTS)
    output = tmp_path / "sweep"
    command = ("sweep", "--base", settings, "--over", "prompt.length=2 3,steps=4 5", "--output", output, "--json", "--share")
    code, out, errors = ptune(*command, "1/2")
    assert (code, out) == (0, "")
    assert "2 points, 0 finished" in errors and errors.endswith("no comparison: 1 runs are not finished\n")
    assert not (output / "sweep.json").exists()
    code, out, errors = ptune(*command, "0/2")
    assert code == 0 and "2 points, 0 finished" in errors
    assert json.loads(out) == json.loads((output / "sweep.json").read_text()) and len(json.loads(out)) == 4
    assert [starts(output / name) for name in ("2+3-4", "2+3-5")] == [1, 1]
    code, _, errors = ptune(*command, "5/6")  # more shares than runs
    assert code == 0 and "0 points, 0 finished" in errors
