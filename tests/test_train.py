"""`ptune train` from the command line to the files of its run."""

import hashlib
import json
import shutil
from pathlib import Path

import kinds
import model_folder
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from processes import python

from ptune_cli import __version__
from ptune_cli.base_model import BaseModel
from ptune_cli.commands.train import Train
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.formats import huggingface
from ptune_cli.formats import prompt as prompt_format
from ptune_cli.prompts.bank import Prompt
from ptune_cli.t5.fingerprint import fingerprint
from ptune_cli.training.loop import Every

TESTS = Path(__file__).parent  # the module of the task is found in the current folder
MEMBERS = [f"kinds.kinds-p{length}-{seed}" for length in (3, 5) for seed in (0, 1)]


def content(folder: Path) -> dict[str, str]:
    """The hash of every file of a run, but for the list of its starts."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name not in ("run.json", ".lock")]
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_prompts_scores_predictions_and_curves(bank):
    files = content(bank)
    for name in ("config.gin", "metrics.jsonl", "results.json", "learning_curve.png"):
        assert name in files
    for member in MEMBERS:
        assert {f"prompts/{member}/prompt.safetensors", f"prompts/{member}/prompt.npy"} <= files.keys()
        assert f"predictions/{member}-validation.jsonl" in files
    assert [name for name in files if name.startswith("tensorboard/events.")]
    assert sorted(int(step.name) for step in (bank / "checkpoints").iterdir())[-2:] == [9, 10]
    assert len(json.loads((bank / "run.json").read_text())["starts"]) >= 1


def test_a_prompt_file_says_what_it_belongs_to(bank, model):
    weights = fingerprint(huggingface.read(model)[1])
    for member in MEMBERS:
        prompt = prompt_format.read(bank / "prompts" / member)
        length, seed = int(member.split("-")[1][1:]), int(member[-1])
        assert prompt.array.shape == (length, 16)
        np.testing.assert_array_equal(prompt.array, np.load(bank / "prompts" / member / "prompt.npy"))
        expected = {
            "task": "kinds:kinds",
            "seed": seed,
            "length": length,
            "placement": "prefix",
            "base_fingerprint": weights,
            "vocabulary_sha256": Vocabulary(model / "spiece.model").sha256,
            "recipe": (bank / "config.gin").read_text(),
            "ptune_version": __version__,
        }
        assert expected.items() <= prompt.metadata.items()
        assert prompt.metadata["scores"]["n"] == 12


def test_seeds_start_and_train_differently(bank):
    a, b = (prompt_format.read(bank / "prompts" / f"kinds.kinds-p5-{seed}").array for seed in (0, 1))
    assert not np.any(np.all(a == b, axis=1)[3:])  # the first three rows of both start from the labels


def test_every_validation_example_is_predicted_once_in_order(bank, model):
    for member in MEMBERS:
        lines = (bank / "predictions" / f"{member}-validation.jsonl").read_text().splitlines()
        predictions = [json.loads(line) for line in lines]
        assert [p["index"] for p in predictions] == list(range(12))
        assert [int(p["inputs"].split()[-1]) for p in predictions] == list(range(40, 52))
        assert [p["target"] for p in predictions] == ["plant", "people", "dog"] * 4
        assert all(p["answer"] in (None, *model_folder.LABELS) for p in predictions)


def test_scores_stand_beside_how_many_examples_they_are_of_and_how_many_are_invalid(bank):
    scored = [row for row in rows(bank) if f"validation/accuracy/{MEMBERS[0]}" in row]
    assert [row["step"] for row in scored] == [0, 4, 8, 10]
    for row in scored:
        for member in MEMBERS:
            assert row[f"validation/n/{member}"] == 12
            assert 0 <= row[f"validation/invalid/{member}"] <= 100
    found = json.loads((bank / "results.json").read_text())["tasks"]["kinds:kinds"]
    assert (found["split"], found["n"], found["headline"]) == ("test", 8, ["accuracy"])
    assert found["majority"] == {"accuracy": 25.0}  # "dog" is 14 of the 40 training rows, 2 of these
    assert [row["member"] for row in found["members"]] == MEMBERS
    for row in (found["untuned"], *found["members"]):
        assert {"greedy_accuracy", "rank_accuracy", "invalid"} <= row.keys()


def test_training_is_logged_as_often_as_asked(bank):
    trained = [row for row in rows(bank) if f"train/loss/{MEMBERS[0]}" in row]
    assert [row["step"] for row in trained] == [2, 4, 6, 8, 10]
    for row in trained:
        assert all(np.isfinite(row[f"train/loss/{member}"]) for member in MEMBERS)
        assert row["examples_per_second"] > 0 and row["tokens_per_second"] > 0


def test_validation_begins_with_the_first_interval_unless_the_start_is_asked_for(bank, model, ptune, tmp_path):
    def evaluated(folder):
        return [row["step"] for row in rows(folder) if any(name.startswith("validation/") for name in row)]

    assert evaluated(bank) == [0, 4, 8, 10]
    command = model_folder.train(model, tmp_path / "run", "--every.before_training", "false")
    assert ptune(*command)[0] == 0
    assert evaluated(tmp_path / "run") == [4, 8, 10]


def test_a_carved_validation_is_the_end_of_training_and_leaves_the_official_one_to_be_scored(model, ptune, tmp_path):
    flags = ("--split_policy", "carve", "--carved_rows", "10", "--json")
    code, out, _ = ptune(*model_folder.train(model, tmp_path / "run", *flags))
    result = json.loads(out)["tasks"]["kinds:kinds"]
    assert code == 0 and result["n"] == 12  # the official validation split
    named = {"policy": "carve", "trained_on": "train", "chosen_on": "end of train", "scored_on": "validation"}
    assert result["splits"] == named
    (member,) = (row["member"] for row in result["members"])
    lines = (tmp_path / f"run/predictions/{member}-validation.jsonl").read_text().splitlines()
    assert [json.loads(line)["inputs"] for line in lines] == kinds.rows("train")["inputs"][-10:]
    base = BaseModel(checkpoint=str(model))
    config = Train(output="", model=base, tasks=("kinds:kinds",), split_policy="carve", carved_rows=10)
    splits = config.prepare(base.load_vocabulary())
    trained = [splits["kinds:kinds", "train"].row(i)["inputs"] for i in range(len(splits["kinds:kinds", "train"]))]
    assert trained == kinds.rows("train")["inputs"][:-10]


@pytest.mark.parametrize("rows", ["0", "40"])
def test_a_carved_validation_leaves_something_to_train_on(rows, model, ptune, tmp_path):
    code, _, errors = ptune(*model_folder.train(model, tmp_path / "run", "--split_policy", "carve", "--carved_rows", rows))
    assert code == 2 and f"carved_rows is {rows}, and kinds:kinds train has 40 examples" in errors


def test_the_test_split_never_chooses_a_step(model, ptune, tmp_path):
    code, _, errors = ptune(*model_folder.train(model, tmp_path / "run", "--validation_split", "test"))
    assert code == 2 and "validation_split is test, which never chooses a step" in errors


def test_the_best_step_is_kept_and_not_the_last(model, ptune, tmp_path):
    flags = ("--protocol", "rank", "--steps", "60", "--every.evaluate", "20", "--every.log", "20")
    code, out, _ = ptune(*model_folder.train(model, tmp_path / "run", *flags, "--optimizer.learning_rate", "1.0", "--json"))
    assert code == 0
    (result,) = json.loads(out)["tasks"]["kinds:kinds"]["members"]
    member = result["member"]
    scores = {row["step"]: row[name] for row in rows(tmp_path / "run") if (name := f"validation/accuracy/{member}") in row}
    first_best = next(step for step, score in scores.items() if score == max(scores.values()))
    assert first_best > 0  # else this would show nothing
    assert (result["best_step"], result["validation"]) == (first_best, max(scores.values()))
    metadata = prompt_format.read(tmp_path / "run/prompts" / member).metadata
    assert (metadata["step"], metadata["scores"]["accuracy"]) == (first_best, max(scores.values()))


def test_a_finished_run_shows_its_table_again_without_its_model(bank, model, ptune, tmp_path):
    run, own = shutil.copytree(bank, tmp_path / "run"), shutil.copytree(model, tmp_path / "model")
    config = (run / "config.gin").read_text().replace(str(model), str(own)).replace(str(bank), str(run))
    (run / "config.gin").write_text(config)
    (own / "model.safetensors").unlink()
    before = content(run)
    code, out, _ = ptune("train", "--gin", run / "config.gin")  # the saved configuration is the run's, whole
    assert code == 0
    assert all(member in out for member in MEMBERS)
    assert content(run) == before
    results = json.loads((run / "results.json").read_text())
    assert json.loads(ptune("train", "--gin", run / "config.gin", "--json")[1]) == results


def test_no_frozen_weight_changes_in_memory_or_on_disk(model, tmp_path):
    loaded = []

    class Watched(BaseModel):
        def load(self, placement=None):
            loaded.append(super().load(placement))
            return loaded[0]

    before = (model / "model.safetensors").read_bytes()
    train = Train(
        output=str(tmp_path / "run"),
        model=Watched(checkpoint=str(model)),
        tasks=(model_folder.TASK,),
        prompt=Prompt(length=5),
        steps=3,
        batch_size=4,
        positions=512,
        every=Every(evaluate=3),
    )
    train.run()
    assert (model / "model.safetensors").read_bytes() == before
    found = flatten_dict(loaded[0].params, sep="/")
    for name, array in huggingface.read(model)[1].items():
        assert np.asarray(found[name]).tobytes() == array.tobytes(), name


def test_training_on_prepared_data_imports_no_tensorflow_seqio_or_torch(model, tmp_path):
    code = """
        import sys
        from ptune_cli import cli
        code = cli.main(sys.argv[1:])
        print(code, sorted({"tensorflow", "tensorflow_datasets", "seqio", "torch", "transformers"} & set(sys.modules)))
    """
    with python(code, *model_folder.train(model, tmp_path / "run", "--steps", "1"), cwd=TESTS) as process:
        out, errors = process.communicate()
    assert out.splitlines()[-1] == "0 []", errors


def test_explain_says_where_each_value_of_a_run_was_set(model, ptune, tmp_path):
    code, out, _ = ptune(*model_folder.train(model, tmp_path / "run", "--explain"))
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["steps", "10", "--steps"] in lines
    assert ["every.save", "3", "--every.save"] in lines
    assert ["optimizer.learning_rate", "0.3", "default"] in lines
    assert not (tmp_path / "run").exists()
