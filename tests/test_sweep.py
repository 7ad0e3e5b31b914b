"""`ptune sweep`: a grid of runs, none of them run twice, none stopped by another's failure, compared at the end."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import sweep_settings
from processes import python
from same_run import starts

from ptune_cli import shipped
from ptune_cli.errors import UserError
from ptune_cli.reports import sweep_figure, sweep_table
from ptune_cli.reports.sweep_axis import axis
from ptune_cli.reports.sweep_results import Part, collect
from ptune_cli.sweeps.joining import join, runs
from ptune_cli.sweeps.points import expand
from ptune_cli.sweeps.sweep import Sweep

TESTS = Path(__file__).parent  # the module of the task is found in the current folder
SWEEP = "import sys; from ptune_cli import cli; sys.exit(cli.main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def settings(model, tmp_path_factory) -> str:
    """A gin file of short runs on the tiny model."""
    return sweep_settings.write(tmp_path_factory.mktemp("gin"), model)


@pytest.fixture(scope="module")
def swept(settings, tmp_path_factory):
    """A finished sweep: two prompt lengths, and a learning rate that no run survives."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("swept") / "sweep"
    over = "prompt.length=2 3,optimizer.learning_rate=0.3 1e38"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(TESTS)
        assert cli.main(["sweep", "--base", settings, "--over", over, "--output", str(folder)]) == 1
    return folder


def test_a_grid_is_every_combination_and_seeds_of_prompts_are_one_run(settings):
    points = expand([settings], ["prompt.length=2 3", "steps=4 8"], "out")
    assert [point.name for point in points] == ["2-4", "2-8", "3-4", "3-8"]
    assert points[1].labels == (("prompt.length", "2"), ("steps", "8"))
    assert points[1].arguments == ("--gin", settings, "--prompt.length", "2", "--steps", "8", "--output", "out/2-8")


def test_a_method_that_trains_one_model_a_run_has_a_point_for_each_seed(settings):
    points = expand([settings], ["method=prompt model"], "out")
    assert [point.name for point in points] == ["prompt", "model-0", "model-1"]
    assert points[1].labels == points[2].labels and points[2].arguments[-4:] == ("--seeds", "1", "--output", "out/model-1")


def test_a_flag_wins_over_a_file_whatever_the_order_of_the_axes(settings, tmp_path):
    other = tmp_path / "other.gin"
    other.write_text("from __gin__ import dynamic_registration\nfrom ptune_cli.commands import train\ntrain.Train.steps = 100\n")
    [point] = expand([settings], ["steps=4", f"gin={other}"], "out")
    assert "train.Train.steps = 4\n" in point.text and point.name == "4-other"


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("prompt.length", "'prompt.length' is no axis of a sweep; expected NAME=VALUE VALUE"),
        ("prompt.length=", "is no axis"),
        ("prompt.length=2 3 2", "two points are named '4-2'; give each value once"),
        ("prompt.lenght=2 3", "lenght"),
        ("prompt.length=2 none", "none"),
        ("stepps=2 3", "no flag --stepps; did you mean '--steps'?"),
    ],
)
def test_a_mistake_is_found_before_anything_runs(over, message, settings, tmp_path):
    with pytest.raises(UserError, match=".*") as error:
        expand([settings], ["steps=4", over], str(tmp_path / "out"))
    assert message in str(error.value) and not (tmp_path / "out").exists()


def test_more_axes_come_first_and_replace_those_of_their_name():
    over = ("prompt.length=1 20", "model.checkpoint=tiny")
    assert Sweep(output="out", base=(), over=over, also_over=("model.checkpoint=a b",)).axes() == (
        "model.checkpoint=a b",
        "prompt.length=1 20",
    )
    assert Sweep(output="out", base=(), over=over).axes() == over


def test_a_point_that_fails_is_named_and_stops_no_other(swept):
    assert {folder.name for folder in swept.iterdir() if (folder / "results.json").is_file()} == {"2+3-0.3"}
    assert "is not finite at step" in (swept / "logs" / "3-1e38.log").read_text()


def test_a_row_is_the_mean_over_seeds_of_what_the_runs_say(swept):
    rows = json.loads((swept / "sweep.json").read_text())
    assert [row["labels"]["prompt.length"] for row in rows] == ["2", "3"]
    for row in rows:
        [result] = json.loads((swept / "2+3-0.3/results.json").read_text())["tasks"].values()
        own = f"-p{row['labels']['prompt.length']}-"
        scores = [member["rank_accuracy"] for member in result["members"] if own in member["member"]]
        assert row["scores"] == scores and row["mean"] == pytest.approx(sum(scores) / 2) and len(scores) == 2
        assert (row["untuned"], row["majority"]) == (result["untuned"]["rank_accuracy"], result["majority"]["accuracy"])
    table = (swept / "sweep.md").read_text().splitlines()
    assert table[0].startswith("| task | prompt.length | optimizer.learning_rate | accuracy, rank | seeds |") and len(table) == 4


def test_a_finished_point_is_not_run_again(swept, settings, ptune, monkeypatch):
    monkeypatch.chdir(TESTS)
    before = (swept / "sweep.json").read_text()
    over = "prompt.length=2 3,optimizer.learning_rate=0.3"
    code, out, errors = ptune("sweep", "--base", settings, "--over", over, "--output", swept, "--json")
    assert code == 0, errors
    assert "2 points, 2 finished" in errors and "[" not in errors
    assert starts(swept / "2+3-0.3") == 1
    assert json.loads(out) == json.loads(before)


def test_a_run_under_another_configuration_is_not_taken_for_finished(swept, settings):
    [[same], [other]] = [
        runs(join(expand([settings], ["prompt.length=2 3", f"optimizer.learning_rate={rate}"], str(swept))))
        for rate in (0.3, 0.30001)
    ]
    assert same.finished()
    (swept / other.name).symlink_to(same.folder)
    assert not other.finished()
    (swept / other.name).unlink()


def test_a_dry_run_lists_commands_that_are_still_to_run(swept, settings, ptune):
    code, out, _ = ptune(
        "sweep", "--base", settings, "--over", "prompt.length=2 5 7,optimizer.learning_rate=0.3", "--output", swept, "--dry_run"
    )
    assert code == 0 and out.splitlines() == [
        f"finished  ptune train --gin {swept}/2+3-0.3/config.gin",
        f"to run    ptune train --gin {settings} --optimizer.learning_rate 0.3 --prompt_lengths 5,7 --output {swept}/5+7-0.3",
    ]


def test_told_to_stop_it_saves_and_goes_on_from_there(settings, tmp_path):
    arguments = ("sweep", "--base", settings, "--over", "prompt.length=2 3,steps=3000 2999", "--output", tmp_path / "sweep")
    with python(SWEEP, *arguments, cwd=TESTS) as process:
        metrics = tmp_path / "sweep/2+3-3000/metrics.jsonl"
        while process.poll() is None and not (metrics.is_file() and metrics.stat().st_size):
            pass
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()
    assert process.returncode == 75, errors
    assert "stopped at step" in (tmp_path / "sweep/logs/2+3-3000.log").read_text()
    assert not (tmp_path / "sweep/2+3-2999").exists()
    with python(SWEEP, *arguments, "--jobs", "2", "--dry_run", cwd=TESTS) as process:
        out, errors = process.communicate()
    assert process.returncode == 0 and out.count("to run") == 2, errors


def run_folder(folder: Path, method: str, seeds, score: float, parameters: int) -> Path:
    """A finished run as its results.json tells it."""
    members = [{"member": f"t-{seed}", "seed": seed, "rank_accuracy": score + seed, "invalid": 2.0} for seed in seeds]
    task = {
        "headline": ["accuracy"],
        "n": 10,
        "members": members,
        "majority": {"accuracy": 20.0},
        "untuned": {"rank_accuracy": 25.0},
    }
    content = {"method": method, "protocol": "rank", "base_model": "m", "parameters": parameters, "tasks": {"t": task}}
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(content))
    return folder


def test_runs_that_differ_in_their_seed_are_one_row_and_a_line_of_the_picture(tmp_path):
    parts = []
    for model, parameters in (("nano", 1_000_000), ("tiny", 8_000_000)):
        labels = (("model.checkpoint", model), ("gin", "methods/prompt_tuning.gin"))
        parts.append(Part(labels, run_folder(tmp_path / f"{model}-prompt", "prompt", (0, 1, 2), 50.0, parameters)))
        labels = (("model.checkpoint", model), ("gin", "methods/model_tuning.gin"))
        parts += [Part(labels, run_folder(tmp_path / f"{model}-model-{s}", "model", (s,), 60.0, parameters)) for s in (0, 1, 2)]
    rows = collect(parts)
    assert [(row.mean, row.std, len(row.scores)) for row in rows] == [(51.0, 1.0, 3), (61.0, 1.0, 3)] * 2
    png, svg = sweep_figure.draw(rows, tmp_path)
    text = svg.read_text()
    for words in ("model tuning", "prompt tuning", "model alone", "majority class", "model parameters", "8.0M"):
        assert words in text
    assert png.stat().st_size > 10_000
    sweep_table.write(rows, tmp_path)
    assert (
        "| t | tiny | model_tuning | 61.0±1.0 | 3 | 2.0 | 25.0 | 20.0 | 10 |" in (tmp_path / "sweep.md").read_text().splitlines()
    )


def test_the_names_of_points_are_whole_on_a_terminal_of_80_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parts = [
        Part(
            (("model.checkpoint", "micro_lm450"), ("gin", f"methods/{method}.gin")),
            run_folder(tmp_path / method, "prompt", (0, 1), 50.0, 8),
        )
        for method in ("prompt_tuning", "model_tuning", "prompt_design")
    ]
    sweep_table.show(collect(parts), [tmp_path / "sweep.png"], as_json=False)
    printed = capsys.readouterr().out
    for name in ("micro_lm450", "model.checkpoint", "prompt_tuning", "model_tuning", "prompt_design", "50.5±0.7"):
        assert name in printed
    assert "task t, seeds 2, majority 20.0, n 10" in printed.splitlines()[0]


def test_what_differs_between_points_is_told_in_each_line_of_the_terminals_table(tmp_path, capsys):
    parts = [Part((("steps", str(n)),), run_folder(tmp_path / str(n), "prompt", range(n), 50.0, 8)) for n in (1, 2)]
    sweep_table.show(collect(parts), [], as_json=False)
    above, *lines = capsys.readouterr().out.splitlines()
    assert above == "task t, majority 20.0, n 10" and any("seeds" in line for line in lines)


def rows_of(tmp_path, *axes: tuple[tuple[str, str], ...]) -> list:
    """A row for each point, whose model alone scores the same."""
    return collect(
        [Part(labels, run_folder(tmp_path / str(i), "prompt", (0, 1), 50.0, 8_000_000)) for i, labels in enumerate(axes)]
    )


@pytest.fixture
def adapted(tmp_path, monkeypatch) -> dict[str, int]:
    """{shipped model: its steps of LM adaptation}: two sizes, with stages."""
    found = {"pea_span": 0, "pea_lm90": 90, "pea": 900, "bean_span": 0, "bean": 900}
    for name, steps in found.items():
        (tmp_path / "assets" / name).mkdir(parents=True)
        (tmp_path / "assets" / name / "config.json").write_text("{}")
        phases = [{"objective": "SpanCorruption", "steps": 3600}, {"objective": "PrefixLM", "steps": steps}]
        (tmp_path / "assets" / name / "training.json").write_text(json.dumps({"phases": phases[: 2 if steps else 1]}))
    monkeypatch.setattr(shipped, "ASSETS", tmp_path / "assets")
    return found


def test_objectives_are_lines_of_one_panel_where_a_task_is_in_the_form_of_span_corruption(tmp_path, adapted):
    tasks = ("gloss_topic", "gloss_topic_1_sentinel")
    points = [
        (("model.checkpoint", name), ("tasks", task)) for name in ("pea_span", "pea", "bean_span", "bean") for task in tasks
    ]
    sizes = {"pea": 1_000_000, "bean": 8_000_000}
    rows = [
        replace(row, task=row.labels[1][1], parameters=sizes[row.labels[0][1].partition("_")[0]])
        for row in rows_of(tmp_path, *points)
    ]
    found = axis(rows)
    lines = ["span corruption", "span corruption + sentinel", "LM adaptation", "LM adaptation + sentinel"]
    assert list(found.lines.values()) == lines * 2
    assert set(found.places.values()) == set(sizes.values()) and list(found.ticks.values()) == ["1.0M", "8.0M"]
    text = sweep_figure.draw(rows, tmp_path)[1].read_text()
    assert all(f">{line}<" in text for line in lines) and text.count(">gloss_topic<") == 1


def test_stages_of_one_size_are_drawn_by_their_steps_of_adaptation_a_line_for_each_size(tmp_path, adapted):
    found = axis(rows_of(tmp_path, *((("model.checkpoint", name),) for name in adapted)))
    assert list(found.places.values()) == [0, 90, 900, 0, 900] and found.ticks == {0: "0", 90: "90", 900: "900"}
    assert list(found.lines.values()) == ["pea", "pea", "pea", "bean", "bean"]
    assert found.label == "steps of LM adaptation" and not found.logarithmic


def test_numbers_are_called_by_their_axis_and_whole_on_the_axis_and_in_the_legend(tmp_path):
    found = axis(
        rows_of(tmp_path, *((("optimizer.learning_rate", a), ("z_loss", b)) for a in ("0.1", "0.3") for b in ("0.5", "0.7")))
    )
    assert list(found.ticks.values()) == ["0.1", "0.3"] and set(found.lines.values()) == {"z loss 0.5", "z loss 0.7"}


def test_models_of_one_last_name_are_lines_of_their_own(tmp_path):
    names = ("nano/model", "tiny/model")
    rows = rows_of(tmp_path, *((("prompt.length", n), ("model.checkpoint", name)) for n in ("1", "20") for name in names))
    assert set(axis(rows).lines.values()) == set(names)


def test_models_without_a_known_adaptation_are_drawn_by_their_parameters(tmp_path):
    found = axis(rows_of(tmp_path, (("model.checkpoint", "t5/small_lm"),), (("model.checkpoint", "t5/small"),)))
    assert found.label == "model parameters" and set(found.places.values()) == {8_000_000}


def test_each_model_alone_has_its_own_line_where_the_models_are_the_lines(tmp_path):
    rows = rows_of(
        tmp_path, *((("prompt.length", n), ("model.checkpoint", name)) for n in ("1", "20") for name in ("nano", "tiny"))
    )
    rows = [replace(row, untuned=30.0) if row.labels[1][1] == "tiny" else row for row in rows]
    dotted = "stroke-dasharray: 1.5,2.475"  # and once in the legend
    text = sweep_figure.draw(rows, tmp_path)[1].read_text()
    assert text.count(dotted) == 3 and text.count(">model alone<") == 1
    text = sweep_figure.draw([row for row in rows if row.untuned == 30.0], tmp_path)[1].read_text()
    assert text.count(dotted) == 2 and text.count(">model alone<") == 1
