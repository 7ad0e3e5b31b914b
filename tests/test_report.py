"""`ptune report`: finished runs side by side, from their folders alone, and the paper's numbers beside them, never among them."""

import csv
import io
import json
import re
import statistics
import subprocess
import sys
from base64 import b64decode
from functools import cache
from pathlib import Path

import pytest

from ptune_cli import config
from ptune_cli.commands.train import Train
from ptune_cli.errors import UserError
from ptune_cli.reports import paper, report_figures, report_lines, run_folders, tables
from ptune_cli.reports.deviations import RECIPE, deviations
from ptune_cli.reports.paper_beside import beside

ROOT = Path(__file__).parent.parent
SCORES = {0: 50.0, 1: 53.0, 2: 58.0}  # by seed
SIZES = {"nano": 1_000_000, "micro": 3_000_000, "tiny": 8_000_000}


@cache
def text(flags: tuple[tuple[str, str], ...]) -> str:
    """What a run's config.gin says."""
    return config.load(Train, ["runs/ranked_demo.gin"], flags=dict(flags))[1]


def results(seeds=(0,), more: float = 0.0, headline=("accuracy",), tasks=("gloss_topic",), **facts) -> dict:
    """What a run's results.json says: members score SCORES and `more`, of the second metric 10 points more than of the first."""

    def scores(value: float) -> dict:
        return {f"{protocol}_{name}": value + 10 * i for protocol in ("greedy", "rank") for i, name in enumerate(headline)}

    found = {
        "split": facts.pop("split", "test"),
        "n": 300,
        "headline": list(headline),
        "majority": {name: 16.5 for name in headline},
        "untuned": scores(27.25),
    }
    facts = {"method": "prompt", "protocol": "rank", "base_model": "tiny", "base_fingerprint": "f" * 64, **facts}
    members = {
        task: [{**scores(SCORES[seed] + more), "invalid": 2.0, "member": f"{task}-{seed}", "seed": seed} for seed in seeds]
        for task in tasks
    }
    return {
        **facts,
        "parameters": SIZES[facts["base_model"]],
        "tasks": {task: {**found, "members": members[task]} for task in tasks},
    }


def write(folder: Path, content: dict | None, **flags: str) -> Path:
    """A run folder; without its results, if there are none."""
    seeds = sorted({row["seed"] for task in content["tasks"].values() for row in task["members"]}) if content else [0]
    flags = {"seeds": ",".join(map(str, seeds)), **{name.replace("__", "."): value for name, value in flags.items()}}
    folder.mkdir(parents=True)
    (folder / "config.gin").write_text(text(tuple(flags.items())))
    if content is not None:
        (folder / "results.json").write_text(json.dumps(content))
    return folder


def read(*folders: Path) -> list[report_lines.Section]:
    return report_lines.sections(run_folders.find(folders)[0], RECIPE)[0]


@pytest.fixture
def lengths(tmp_path) -> Path:
    """A sweep over two prompt lengths of two models, three seeds each: the seeds of one point in a run for each."""
    runs = tmp_path / "runs"
    for model, more in (("tiny", 0.125), ("nano", -20.0)):
        write(
            runs / f"1-{model}",
            results((0, 1, 2), more, base_model=model),
            seeds="0,1,2",
            prompt__length="1",
            model__checkpoint=model,
        )
        for seed in SCORES:
            flags = {"prompt__length": "20", "model__checkpoint": model}
            write(runs / f"20-{model}-{seed}", results((seed,), more + 1, base_model=model), **flags)
    return runs


def report(ptune, *arguments: object) -> Path:
    """The folder of a report that was made without a complaint."""
    code, _, errors = ptune("report", *arguments)
    assert (code, errors) == (0, "")
    return Path(arguments[-1] if "--output" in arguments else f"{arguments[0]}/report")


def table(markdown: str) -> list[dict[str, str]]:
    """The first table of a Markdown text."""
    first = markdown.split("|\n\n")[0] + "|"
    lines = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in first.splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_runs_that_differ_in_their_seeds_alone_are_one_line(lengths):
    [section] = read(lengths)
    found = {(line.base_model, line.values["prompt.length"]): line for line in section.lines}
    assert len(found) == len(section.lines) == 4
    line = found["tiny", 20]
    assert (line.seeds, line.scores, line.first.n) == ((0, 1, 2), (51.125, 54.125, 59.125), 300)
    assert [run.name for run in line.runs] == ["20-tiny-0", "20-tiny-1", "20-tiny-2"]


def test_a_line_has_mean_and_sample_deviation_as_computed_by_hand(lengths, ptune):
    folder = report(ptune, lengths)
    [line] = [row for row in table((folder / "report.md").read_text()) if (row["model"], row["prompt.length"]) == ("tiny", "20")]
    assert (line["accuracy"], line["n"], line["seeds"]) == ("54.8±4.0", "300", "3")
    assert (line["invalid"], line["untuned"], line["majority"]) == ("2.0", "27.2", "16.5")
    [row] = [
        row
        for row in csv.DictReader((folder / "report.csv").read_text().splitlines())
        if row["base_model"] == "tiny" and row["prompt.length"] == "20"
    ]
    assert float(row["mean"]) == pytest.approx(statistics.fmean((51.125, 54.125, 59.125)), abs=0)
    assert float(row["std"]) == pytest.approx(4.041451884327381, rel=1e-15)


def test_every_setting_that_differs_is_a_column_and_no_other_is(tmp_path):
    write(tmp_path / "a", results(), prompt__init="Uniform", batch_size="16")
    write(tmp_path / "b", results(), prompt__init="ClassLabels", batch_size="16")
    write(tmp_path / "c", results(), prompt__init="ClassLabels", prompt__init__labels="dog,cat", z_loss="0")
    assert set(read(tmp_path)[0].columns) == {"prompt.init", "prompt.init.labels", "z_loss"}
    write(tmp_path / "d", results(split="validation"), prompt__init="Uniform", prompt__init__low="-0.5", test_split="validation")
    assert set(read(tmp_path)[0].columns) == {"prompt.init", "prompt.init.labels", "z_loss", "prompt.init.low", "scored on"}


def test_an_object_of_another_class_has_no_value_where_it_has_no_such_setting(tmp_path, ptune):
    write(tmp_path / "a", results(), prompt__init="Uniform")
    write(tmp_path / "b", results(), prompt__init="Uniform", prompt__init__low="-0.5")
    write(tmp_path / "c", results(), prompt__init="SampledVocabulary")
    lines = table((report(ptune, tmp_path) / "report.md").read_text())
    assert [(line["prompt.init"], line["prompt.init.low"]) for line in lines] == [
        ("SampledVocabulary", ""),
        ("Uniform", "-0.5"),
        ("Uniform", "0.0"),
    ]


def test_what_means_nothing_to_a_method_has_no_value_and_tells_no_lines_apart(tmp_path):
    write(tmp_path / "a", results(), prompt__length="5")
    write(tmp_path / "b", results(), prompt__length="20")
    write(tmp_path / "c", results((0,), method="model"), method="model", prompt__length="20")
    write(tmp_path / "d", results((1,), method="model"), method="model", prompt__length="5")
    [section] = read(tmp_path)
    assert section.columns == ("prompt.length",)
    assert [(line.first.method, line.seeds) for line in section.lines] == [("prompt", (0,)), ("prompt", (0,)), ("model", (0, 1))]
    [picture] = report_figures.draw([section], tmp_path / "out")
    assert ">prompt tuning<" in picture.svg.read_text() and "model tuning" not in picture.svg.read_text()


def test_a_setting_that_an_older_run_does_not_tell_differs_from_any_value(tmp_path):
    write(tmp_path / "a", results())
    older = write(tmp_path / "b", results()) / "config.gin"
    older.write_text(re.sub(r"train\.Train\.z_loss = .*\n", "", older.read_text()))
    [section] = read(tmp_path)
    assert section.columns == ("z_loss",) and len(section.lines) == 2
    assert report_lines.value_of("z_loss", section.lines[1], section.lines) == "not recorded"


def test_settings_of_the_base_model_are_no_columns_where_the_model_is_another_itself(tmp_path):
    sizes = {"model__config__emb_dim": "8", "model__vocabulary": "spiece.model"}
    sizes |= {f"model__config__{name}": "2" for name in ("vocab_size", "num_heads", "head_dim", "mlp_dim")}
    sizes |= {f"model__config__num_{stack}_layers": "2" for stack in ("encoder", "decoder")}
    write(tmp_path / "a", results(base_model="nano"), model__checkpoint="nano")
    write(tmp_path / "b", results(base_model="tiny"), model__checkpoint="tiny", **sizes)
    assert read(tmp_path)[0].columns == ()


def test_models_of_one_name_and_other_weights_are_told_apart(tmp_path):
    write(tmp_path / "a", results())
    write(tmp_path / "b", results((1,), base_fingerprint="0123456789"))
    assert [line.base_model for line in read(tmp_path)[0].lines] == ["tiny (01234567)", "tiny (ffffffff)"]


def test_prompt_lengths_and_learning_rates_that_are_each_members_own_are_lines(tmp_path):
    content = results((0, 1))
    [task] = content["tasks"].values()
    task["members"] = [
        {**row, "member": f"gloss_topic-p{length}-{row['seed']}", "rank_accuracy": row["rank_accuracy"] + length}
        for length in (1, 5)
        for row in task["members"]
    ]
    write(tmp_path / "a", content, prompt_lengths="1,5", optimizer__learning_rate="0.3,0.3,0.3,0.1")
    lines = {
        (line.values["prompt.length"], line.values["optimizer.learning_rate"]): line.scores for line in read(tmp_path)[0].lines
    }
    assert lines == {(1, 0.3): (51.0, 54.0), (5, 0.3): (55.0,), (5, 0.1): (58.0,)}


def test_a_bank_of_tasks_has_a_table_for_each(tmp_path):
    write(tmp_path / "a", results(tasks=("gloss_topic", "verse_pair")), tasks="gloss_topic,verse_pair")
    write(tmp_path / "b", results((1,), tasks=("verse_pair",)), tasks="verse_pair")
    gloss, verse = read(tmp_path)
    assert (gloss.task, gloss.lines[0].seeds, verse.task, verse.lines[0].seeds) == ("gloss_topic", (0,), "verse_pair", (0, 1))
    assert len(gloss.lines) == len(verse.lines) == 1


def test_of_several_headline_metrics_the_score_is_the_mean(tmp_path, ptune):
    write(tmp_path / "a", results((0, 1), headline=("f1", "accuracy")))
    [line] = table((report(ptune, tmp_path) / "report.md").read_text())
    assert (line["f1 and accuracy"], line["f1"], line["accuracy"]) == ("56.5±2.1", "51.5±2.1", "61.5±2.1")


def test_one_seed_of_the_same_settings_counts_once_and_is_told(tmp_path, ptune):
    write(tmp_path / "a", results())
    write(tmp_path / "b", results((0, 1)))
    code, out, errors = ptune("report", tmp_path, "--json")
    assert (
        code == 0
        and errors == f"ptune report: {tmp_path}/b has the settings and seeds of {tmp_path}/a again, and these count once\n"
    )
    [line] = json.loads(out)["tasks"][0]["lines"]
    assert line["seeds"] == [0, 1] and line["scores"] == [50.0, 53.0]


def test_an_evaluation_on_another_task_is_a_line_of_that_task_and_names_what_was_trained_on(tmp_path):
    folder = write(tmp_path / "a", results((0, 1)))
    (folder / "evaluations").mkdir()
    for task, split in (("webster_topic", "test"), ("gloss_topic", "test")):
        members = {f"gloss_topic-{seed}": {"seed": seed, "accuracy": 30.0 + seed, "n": 70, "invalid": 1.0} for seed in (0, 1)}
        content = {"task": task, "split": split, "protocol": "rank", "headline": ["accuracy"], "n": 70, "members": members}
        (folder / "evaluations" / f"{task}.json").write_text(json.dumps(content))
    write(tmp_path / "b", results(tasks=("webster_topic",)), tasks="webster_topic")
    gloss, webster = read(tmp_path)
    assert [line.scores for line in gloss.lines] == [(50.0, 53.0)]  # as results.json has it, once
    assert webster.columns == ("trained on",)
    assert [(line.values["trained on"], line.scores, line.first.untuned) for line in webster.lines] == [
        ("gloss_topic", (30.0, 31.0), None),
        ("webster_topic", (50.0,), 27.25),
    ]


def test_all_forms_have_the_same_numbers(lengths, ptune):
    folder = report(ptune, lengths)
    rows = list(csv.DictReader((folder / "report.csv").read_text().splitlines()))
    [task] = json.loads((folder / "report.json").read_text())["tasks"]
    lines = table((folder / "report.md").read_text())
    latex = re.search(r"\\midrule\n(.*?)\n\\bottomrule", (folder / "report.tex").read_text(), re.DOTALL)[1].splitlines()
    code, out, _ = ptune("report", lengths)
    assert code == 0 and len(rows) == len(task["lines"]) == len(lines) == len(latex) == 4
    for row, own, line, in_latex in zip(rows, task["lines"], lines, latex, strict=True):
        assert (float(row["mean"]), float(row["std"])) == (own["mean"], own["std"])
        assert row["scores"].split() == [repr(score) for score in own["scores"]]
        assert line["accuracy"] == f"{own['mean']:.1f}±{own['std']:.1f}" and line["accuracy"] in out
        assert in_latex.removesuffix(r" \\").replace(r"$\pm$", "±").split(" & ") == list(line.values())


def test_the_latex_is_a_document_of_its_own_in_which_names_are_escaped(tmp_path, ptune):
    write(tmp_path / "a", results())
    write(tmp_path / "b", results((1,)), batch_size="8")
    latex = (report(ptune, tmp_path) / "report.tex").read_text()
    assert latex.index(r"\documentclass") < latex.index(r"\usepackage{booktabs}") < latex.index(r"\begin{document}")
    assert r"gloss\_topic" in latex and r" & batch\_size & " in latex and r"\# & " in latex
    for name in ("document", "table", "tabular"):
        assert latex.count(rf"\begin{{{name}}}") == latex.count(rf"\end{{{name}}}") >= 1
    assert not re.search(r"(?<!\\)[_#%]", latex.partition(r"\begin{document}")[2])


def test_deviations_are_counted_in_the_table_and_listed_once_with_their_lines(tmp_path, ptune):
    runs = [write(tmp_path / name, results(), prompt__length=name) for name in ("1", "5")]
    text = (report(ptune, tmp_path) / "report.md").read_text()
    expected = [deviations(run) for run in runs]
    assert [line["deviates in"] for line in table(text)] == [str(len(own)) for own in expected]
    listed = {line.split(" | ")[0].strip("| "): line for line in text.partition("Deviations from")[2].splitlines()[4:]}
    assert set(listed) == {deviation.setting for own in expected for deviation in own}
    assert "| 1 (#1), 5 (#2) | 100 |" in listed["prompt.length"] and "| rank | greedy |" in listed["protocol"]


def test_seeds_of_several_runs_together_are_as_many_as_the_recipe_wants(lengths):
    for line in read(lengths)[0].lines:
        assert "number of seeds" not in {deviation.setting for deviation in line.deviations}


def test_scores_are_drawn_across_each_ablation_with_a_line_for_each_other_value(lengths, tmp_path):
    pictures = report_figures.draw(read(lengths), tmp_path / "out")
    assert [picture.png.name for picture in pictures] == ["scores_model_checkpoint.png", "scores_prompt_length.png"]
    by_size, by_length = (picture.svg.read_text() for picture in pictures)
    assert all(words in by_size for words in (">length 1<", ">length 20<", "model parameters", "8.0M"))
    assert all(words in by_length for words in (">tiny<", ">nano<", ">prompt.length<"))
    assert all(picture.png.stat().st_size > 10_000 for picture in pictures)


def test_a_point_that_is_on_no_line_is_not_drawn_and_forms_of_a_task_have_their_own_panels(lengths, tmp_path):
    write(lengths / "alone", results(), prompt__length="5", prompt__init="Uniform")
    for model in ("nano", "tiny"):
        flags = {"tasks": "gloss_topic_1_sentinel", "model__checkpoint": model}
        write(lengths / f"form-{model}", results(tasks=("gloss_topic_1_sentinel",), base_model=model), **flags)
    pictures = report_figures.draw(read(lengths), tmp_path / "out")
    by_size, by_length = (picture.svg.read_text() for picture in pictures[:2])
    assert by_size.count(">gloss_topic<") == by_size.count(">gloss_topic_1_sentinel<") == 1
    assert ">tiny, ClassLabels<" in by_length and "Uniform" not in by_length


def test_a_setting_that_follows_from_the_method_names_no_line(tmp_path):
    for method, rate in (("prompt", "0.3"), ("model", "0.001")):
        for model in ("nano", "tiny"):
            flags = {"method": method, "optimizer__learning_rate": rate, "model__checkpoint": model}
            write(tmp_path / "runs" / f"{method}-{model}", results(method=method, base_model=model), **flags)
    [picture] = report_figures.draw(read(tmp_path / "runs"), tmp_path)
    assert ">prompt tuning<" in picture.svg.read_text() and "learning rate" not in picture.svg.read_text()


def test_the_page_has_all_pictures_inside_and_loads_nothing(lengths, ptune):
    folder = report(ptune, lengths)
    page = (folder / "report.html").read_text()
    inside = [b64decode(data) for data in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)]
    assert sorted(inside) == sorted(file.read_bytes() for file in folder.glob("*.svg")) and len(inside) == 3
    assert "http" not in page and "<script" not in page and not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "76,961,152" in page and "51,200 (0.06648%)" in page  # the paper's Table 4


@pytest.fixture
def boolq(tmp_path) -> Path:
    """Runs of tasks that the paper has numbers for, with scores that it does not have."""
    runs = tmp_path / "runs"
    tasks = {"boolq": ("accuracy",), "taskless_super_glue_cb_v102": ("accuracy", "f1_macro"), "squad_to_drop": ("f1",)}
    for task, headline in tasks.items():
        split = "test" if task == "squad_to_drop" else "validation"
        write(runs / task, results((0, 1), headline=headline, tasks=(task,), split=split), tasks=task, test_split=split)
    write(
        runs / "squad",
        results(tasks=("squad_to_drop",), headline=("f1",), split="validation"),
        tasks="squad_to_drop",
        test_split="validation",
    )
    write(runs / "design", results(tasks=("boolq",), method="design", split="validation"), tasks="boolq", method="design")
    return runs


def test_the_papers_numbers_are_beside_runs_of_the_same_task_metric_and_method(boolq):
    found = {(own.table.name, own.named, own.metric): (own.said, own.scores) for own in beside(read(boolq))}
    assert found["ensembles", "BoolQ", "accuracy"] == ("average 91.1, best 91.3, ensemble of five 91.7", (50.0, 53.0))
    assert found["ensembles", "CB", "f1"] == ("average 99.0, best 100.0, ensemble of five 100.0", (60.0, 63.0))
    assert found["domain_shift", "SQuAD to DROP", "f1"] == ("67.1±1.9", (50.0, 53.0))
    assert len(found) == 4


def test_the_papers_numbers_have_their_citation_and_are_on_the_page_alone(boolq, ptune):
    folder = report(ptune, boolq)
    page = (folder / "report.html").read_text()
    assert "average 91.1, best 91.3, ensemble of five 91.7 (Table 3 (from memory, not checked))" in page
    assert "67.1±1.9 (Table 1 (from memory, not checked))" in page
    assert f"The paper’s: {json.loads(paper.FILE.read_text())['paper']}, Table 3 (from memory, not checked)" in page
    for kind in ("csv", "json", "md", "tex"):
        text = (folder / f"report.{kind}").read_text()
        assert not [number for number in ("91.1", "91.7", "99.3", "67.1", "Lester, Al-Rfou") if number in text]


@pytest.fixture
def together(tmp_path) -> Path:
    """Runs with ensembles: of two metrics on the paper's split, and of a task that is not the paper's."""
    runs = tmp_path / "runs"
    for task, headline, split in (
        ("super_glue_cb_v102", ["accuracy", "f1_macro"], "validation"),
        ("gloss_topic", ["accuracy"], "test"),
    ):
        folder = write(runs / task, results((0, 1), headline=headline, tasks=(task,), split=split), tasks=task, test_split=split)
        rows = {f"{task}-0": 40.0, f"{task}-1": 50.25, "average": 45.125, "best": 50.25, "majority vote": 51.5}
        rows |= {"mean log-likelihood": 52.75} if task == "gloss_topic" else {}
        scores = {name: {"n": 30, "invalid": 0.0, **dict.fromkeys(headline, value)} for name, value in rows.items()}
        members = {name: scores.pop(name) for name in list(scores)[:2]}
        facts = {"task": task, "split": split, "protocol": "rank", "headline": headline, "n": 30, "trained_on": [task]}
        (folder / "ensembles").mkdir()
        (folder / "ensembles" / "one.json").write_text(json.dumps({**facts, "base_model": "tiny", "members": members, **scores}))
    return runs


def test_ensembles_have_a_table_with_the_same_numbers_in_all_forms(together, ptune):
    folder = report(ptune, together)
    lines = table((folder / "report.md").read_text().partition("## Ensembles")[2])
    shown = [
        (line["#"], line["task"], line["metric"], line["average"], line["majority vote"], line["mean log-likelihood"])
        for line in lines
    ]
    assert shown == [
        ("1", "gloss_topic", "accuracy", "45.1", "51.5", "52.8"),
        ("2", "super_glue_cb_v102", "accuracy", "45.1", "51.5", ""),
        ("2", "super_glue_cb_v102", "f1_macro", "45.1", "51.5", ""),
    ]
    rows = list(csv.DictReader((folder / "ensembles.csv").read_text().splitlines()))
    found = json.loads((folder / "report.json").read_text())["ensembles"]
    assert [float(row["majority vote"]) for row in rows] == [51.5] * 3 and {row["prompts"] for row in rows} == {"2"}
    assert [own["scores"]["average"] for own in found] == [{"accuracy": 45.125}, {"accuracy": 45.125, "f1_macro": 45.125}]
    latex = (folder / "report.tex").read_text()
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 3 and "45.1 & 50.2 & 51.5 & 52.8" in latex
    code, out, _ = ptune("report", together)
    assert code == 0 and "Ensembles" in out and str(folder / "ensembles.csv") in out


def test_the_papers_table_of_ensembles_is_beside_those_of_its_tasks_and_split(together, ptune):
    page = (report(ptune, together) / "report.html").read_text()
    [accuracy, f1] = [row for row in page.split("<tr>") if "ensemble #" in row]
    assert "average 45.1, best 50.2, ensemble 51.5" in accuracy and "ensemble #2" in accuracy
    assert "average 99.3, best 100.0, ensemble of five 100.0 (Table 3 (from memory, not checked))" in accuracy
    assert "average 99.0, best 100.0, ensemble of five 100.0" in f1


def test_a_report_without_ensembles_has_no_table_of_them(lengths, ptune):
    folder = report(ptune, lengths)
    assert not (folder / "ensembles.csv").exists() and json.loads((folder / "report.json").read_text())["ensembles"] == []
    assert all("Ensembles" not in (folder / f"report.{kind}").read_text() for kind in ("md", "tex", "html"))


def test_a_model_of_several_tasks_is_a_line_of_each_and_no_seed_of_a_model_of_one(tmp_path, ptune):
    tasks = {"gloss_topic": 75.0, "verse_pair": 25.0}
    write(tmp_path / "mixed", {**results(method="model", tasks=tasks), "mixture": tasks}, method="model", tasks=",".join(tasks))
    write(tmp_path / "alone", results(method="model"), method="model")
    gloss, verse = read(tmp_path)
    assert [(line.first.source, line.seeds) for line in gloss.lines] == [
        ("gloss_topic", (0,)),
        ("gloss_topic + verse_pair", (0,)),
    ]
    text = (report(ptune, tmp_path) / "report.md").read_text()
    assert [line["method"] for line in table(text)] == ["model tuning", "model tuning (multi-task)"]
    assert "## verse_pair: test split, rank, trained on gloss_topic + verse_pair\n" in text
    [picture] = report_figures.draw([gloss], tmp_path / "out")
    assert ">model tuning<" in picture.svg.read_text() and ">model tuning (multi-task)<" in picture.svg.read_text()


def test_a_run_without_results_is_named_and_left_out(lengths, ptune):
    write(lengths / "unfinished", None)
    old = write(lengths / "old", results((0,)))
    (old / "results.json").write_text('{"tasks": {}}')
    (lengths / "pretrained").mkdir()
    (lengths / "pretrained" / "config.gin").write_text("pretrain.Pretrain.steps = 3\n")
    code, out, errors = ptune("report", lengths, "--json")
    assert code == 0 and errors.splitlines() == [
        f"ptune report: {old} is left out: another version of ptune made it: its results.json has no method, protocol, "
        "base_model, base_fingerprint, parameters",
        f"ptune report: {lengths}/unfinished is left out: it is not finished (no results.json)",
    ]
    assert [Path(own["run"]).name for own in json.loads(out)["left_out"]] == ["old", "unfinished"]


def test_a_folder_without_runs_is_told_with_what_was_expected(tmp_path, ptune):
    with pytest.raises(UserError, match="no finished run in .*; expected folders with config.gin and results.json"):
        run_folders.find([tmp_path])
    write(tmp_path / "run", None)
    code, out, errors = ptune("report", tmp_path)
    assert (code, out, errors.count("\n")) == (2, "", 1) and "/run: it is not finished" in errors
    assert "did you mean 'run'?" in ptune("report", tmp_path / "rum")[2]
    assert not (tmp_path / "report").exists()


def test_what_the_runs_hold_is_left_as_it_is_and_a_second_report_is_the_same(lengths, ptune):
    before = {file: file.read_bytes() for file in lengths.rglob("*") if file.is_file()}
    first = {file.name: file.read_bytes() for file in report(ptune, lengths).iterdir() if file.suffix != ".png"}
    assert all(file.read_bytes() == content for file, content in before.items())
    again = {file.name: file.read_bytes() for file in report(ptune, lengths).iterdir() if file.suffix != ".png"}
    assert {name for name in again if again[name] != first[name]} <= {name for name in again if name.endswith((".svg", ".html"))}


def test_where_a_table_does_not_fit_the_terminal_the_settings_have_one_of_their_own(lengths, ptune, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    wide = ptune("report", lengths)[1]
    monkeypatch.setenv("COLUMNS", "60")
    narrow = ptune("report", lengths)[1]
    assert re.search(r"# +prompt\.length +method", wide) and re.search(r"\n prompt\.length +1 +1 +20 +20", narrow)
    assert "53.8±4.0" in narrow and f"\n{lengths}/report/report.html\n" in narrow


def test_what_all_lines_agree_in_is_told_above_the_table_so_that_no_header_is_broken_on_80_columns(lengths, ptune, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    title, above, *lines = ptune("report", lengths)[1].splitlines()
    assert title.startswith("gloss_topic: ") and re.fullmatch(r"n \d+, seeds 3, untuned \S+, majority \S+", above)
    assert re.fullmatch(r" # +prompt\.length +method +model +accuracy +invalid +deviates in *", lines[1])


def test_what_no_line_has_is_neither_told_above_the_table_nor_a_column_of_it():
    above, cells = tables.shared([["#", "n", "majority", "score"], ["1", "10", "", "5"], ["2", "10", "", "5"]], ("n", "majority"))
    assert above == "n 10" and cells == [["#", "score"], ["1", "5"], ["2", "5"]]


def test_neither_jax_nor_tensorflow_is_imported(lengths):
    script = """
import sys
for name in ("jax", "flax", "optax", "tensorflow", "seqio"):
    sys.modules[name] = None
from ptune_cli import cli
sys.exit(cli.main(sys.argv[1:]))
"""
    done = subprocess.run([sys.executable, "-c", script, "report", lengths], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(csv.reader(io.StringIO((lengths / "report/report.csv").read_text())))[0][0] == "task"
