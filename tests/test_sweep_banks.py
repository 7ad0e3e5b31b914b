"""`ptune sweep` joins what can train together, and the results are those of separate runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import sweep_settings
import tiny

from ptune_cli.data.examples import Lengths
from ptune_cli.data.microbatches import Cost
from ptune_cli.formats.prompt import prompt_folder, read
from ptune_cli.reports import report_lines, run_folders
from ptune_cli.reports.sweep_results import Part, collect
from ptune_cli.sweeps.joining import join, runs
from ptune_cli.sweeps.points import Run, expand

TESTS = Path(__file__).parent  # the module of the task is found in the current folder
LENGTHS = "prompt.length=2 5"
FAILS = "prompt.init=SampledVocabulary,prompt.init.population=2"  # for a prompt of more than two rows


@pytest.fixture(scope="module")
def settings(model, tmp_path_factory) -> str:
    """A gin file of short runs on the tiny model."""
    return sweep_settings.write(tmp_path_factory.mktemp("gin"), model)


@pytest.fixture(scope="module")
def places(settings, tmp_path_factory) -> dict[str, Path]:
    """A finished sweep of two prompt lengths, `together`, and its points as runs of their own, `apart`."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("banks")
    found = {name: folder / name for name in ("together", "apart")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(TESTS)
        assert cli.main(["sweep", "--base", settings, "--over", LENGTHS, "--output", str(found["together"])]) == 0
        for point in expand([settings], [LENGTHS], str(found["apart"])):
            assert cli.main(["train", *point.arguments]) == 0
    return found


def names(settings: str, over: list[str], output: Path | str = "out") -> list[str]:
    return [run.name for run in runs(join(expand([settings], over, str(output))))]


def begin(run: Run) -> None:
    """What there is of a run as soon as it has its folder."""
    run.folder.mkdir(parents=True)
    (run.folder / "config.gin").write_text(run.text)


def test_points_that_differ_in_their_prompts_length_are_one_run(settings):
    joined = join(expand([settings], [LENGTHS, "steps=4 8"], "out"))
    assert {name: run.name for name, run in joined.items()} == {
        "2-4": "2+5-4",
        "2-8": "2+5-8",
        "5-4": "2+5-4",
        "5-8": "2+5-8",
    }
    first, _ = runs(joined)
    flags = ("--steps", "4", "--prompt_lengths", "2,5", "--output", "out/2+5-4")
    assert first.arguments == ("--gin", settings, *flags)
    assert [member.prompt.length for member in first.train.bank()] == [2, 2, 5, 5]


def test_tasks_join_where_one_target_length_is_set_for_all(settings):
    tasks = "tasks=gloss_topic verse_pair"
    assert names(settings, [tasks]) == ["gloss_topic", "verse_pair"]
    [run] = runs(join(expand([settings], [tasks, LENGTHS, "target_length=8"], "out")))
    assert (run.name, run.train.tasks) == ("gloss_topic+verse_pair-2+5-8", ("gloss_topic", "verse_pair"))
    assert (run.train.prompt_lengths, len(run.train.bank())) == ((2, 5), 8)


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        (["method=model", LENGTHS], ["model-2-0", "model-2-1", "model-5-0", "model-5-1"]),
        (["method=design", LENGTHS], ["design-2", "design-5"]),
        (["prompt_lengths=2,5 3 4"], ["2,5", "3", "4"]),
        (["tasks=gloss_topic,verse_pair verse_pair", "target_length=8"], ["gloss_topic,verse_pair-8", "verse_pair-8"]),
        (["optimizer.learning_rate=0.3,0.1", LENGTHS], ["0.3,0.1-2", "0.3,0.1-5"]),
        (["prompt.init=Uniform SampledVocabulary"], ["Uniform", "SampledVocabulary"]),
        (["gin=methods/prompt_tuning.gin methods/prompt_design.gin"], ["prompt_tuning", "prompt_design"]),
    ],
)
def test_what_differs_otherwise_or_is_several_already_stays_a_run_of_its_own(over, expected, settings):
    assert names(settings, over) == expected


def test_very_many_values_make_a_name_that_a_file_system_takes(settings):
    [name] = names(settings, [f"prompt.length={' '.join(map(str, range(100, 125)))}"])
    assert name == "100+...+124"


def test_the_rows_of_a_joined_sweep_are_those_of_separate_runs(places, settings):
    assert [folder.name for folder in places["together"].iterdir() if (folder / "results.json").is_file()] == ["2+5"]
    apart = [Part(point.labels, point.folder) for point in expand([settings], [LENGTHS], str(places["apart"]))]
    found = json.loads((places["together"] / "sweep.json").read_text())
    assert found == json.loads(json.dumps([row.as_json() for row in collect(apart)]))
    assert [row["labels"] for row in found] == [{"prompt.length": "2"}, {"prompt.length": "5"}]


def test_the_prompts_of_a_joined_sweep_are_those_of_separate_runs(places):
    """But for the rounding of sums over other rows and other padding."""
    for length in (2, 5):
        for seed in (0, 1):
            own = read(prompt_folder(places["apart"] / str(length), f"kinds.kinds-{seed}")).array
            found = read(prompt_folder(places["together"] / "2+5", f"kinds.kinds-p{length}-{seed}")).array
            np.testing.assert_allclose(found, own, rtol=0, atol=1e-3)


def test_a_report_knows_the_members_of_a_joined_run_from_separate_runs_again(places):
    [section], twice = report_lines.sections(run_folders.find([places["apart"], places["together"]])[0], "runs/lester2021.gin")
    assert section.columns == ("prompt.length",)
    assert [(line.values["prompt.length"], line.seeds) for line in section.lines] == [(2, (0, 1)), (5, (0, 1))]
    assert [own.again.run.name for own in twice] == ["2+5"] * 4
    assert [own.again.metrics for own in twice] == [own.counted.metrics for own in twice]


def test_a_short_prompt_is_padded_beside_a_long_one_about_as_it_is_alone():
    def positions(lengths: tuple[int, ...], at_once: int) -> int:
        batches = tiny.batches(tiny.bank(lengths, (0, 1)), 4, Lengths(16, 4, max(lengths)), Cost(at_once, 0, 4000))
        return sum(part.encoder_ids.size for step in range(8) for part in batches(step))

    alone = positions((1,), 1_000) + positions((100,), 1_000)
    assert positions((1, 100), 1_000) <= 1.05 * alone


def test_a_grid_that_grows_runs_only_what_is_new(places, settings):
    joined = join(expand([settings], ["prompt.length=5 7 9"], str(places["together"])))
    assert [(name, run.name, run.finished()) for name, run in joined.items()] == [
        ("5", "2+5", True),
        ("7", "7+9", False),
        ("9", "7+9", False),
    ]


def test_points_that_finished_alone_are_not_run_again(places, settings):
    joined = join(expand([settings], ["prompt.length=2 5 7"], str(places["apart"])))
    assert [(run.name, run.finished()) for run in runs(joined)] == [("2", True), ("5", True), ("7", False)]


def test_a_run_that_has_begun_goes_on_as_it_is(settings, tmp_path):
    points = expand([settings], ["prompt.length=2 3 5 7 9"], str(tmp_path))
    begin(points[1])
    [bank] = runs(join(expand([settings], ["prompt.length=5 7"], str(tmp_path))))
    begin(bank)
    assert [run.name for run in join(points).values()] == ["2+9", "3", "5+7", "5+7", "2+9"]
    begin(points[3])  # as when the bank has failed, and its points run alone
    assert [run.name for run in join(points).values()] == ["2+5+9", "3", "2+5+9", "7", "2+5+9"]


def test_a_begun_bank_with_other_settings_is_left_alone(settings, tmp_path):
    [other] = runs(join(expand([settings], ["prompt.length=2 3", "steps=8"], str(tmp_path))))
    begin(other)
    assert names(settings, ["prompt.length=2 3", "steps=4"], tmp_path) == ["2+3-4"]


def test_of_a_bank_that_fails_each_point_runs_alone(settings, tmp_path, ptune, monkeypatch):
    monkeypatch.chdir(TESTS)
    command = ("sweep", "--base", settings, "--over", f"{FAILS},prompt.length=2 3", "--output", tmp_path / "sweep")
    code, _, errors = ptune(*command)
    lines = [line for line in errors.splitlines() if line.startswith("[")]
    assert code == 1
    assert lines[0].startswith("[2/2] SampledVocabulary-2-2+3: failed with exit code ")
    assert lines[1].startswith("[1/2] SampledVocabulary-2-2: done ")
    assert lines[2].startswith("[2/2] SampledVocabulary-2-3: failed ") and "needs 3 different tokens" in lines[2]
    [row] = json.loads((tmp_path / "sweep/sweep.json").read_text())
    assert row["labels"]["prompt.length"] == "2" and len(row["scores"]) == 2
    code, _, errors = ptune(*command)
    assert code == 1 and "2 points, 1 finished" in errors and "-2: done" not in errors
