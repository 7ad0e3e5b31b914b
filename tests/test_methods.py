"""The paper's baselines: model tuning trains all weights and keeps the best step's; prompt design trains nothing."""

import json
from pathlib import Path

import kinds
import model_folder
import numpy as np
import pytest
import tiny
from processes import STOPS, python

from ptune_cli.base_model import BaseModel
from ptune_cli.commands.train import Train
from ptune_cli.commands.trained import FOLDER
from ptune_cli.data.design import Design, chosen
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.formats import huggingface
from ptune_cli.t5.fingerprint import fingerprint
from ptune_cli.training.loop import Every
from ptune_cli.training.optimizer import Adafactor

TESTS = Path(__file__).parent  # the module of the task is found in the current folder
TUNE = "--method model --optimizer.learning_rate 0.01 --optimizer.parameter_scale true --optimizer.factored true".split()
STEP = "--every.save", "5", "--steps", "20", "--every.evaluate", "5"


@pytest.fixture(scope="module")
def tuned(model, tmp_path_factory):
    """A finished run of model tuning."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("tuned") / "run"
    assert cli.main(model_folder.train(model, folder, *TUNE, *STEP)) == 0
    return folder


def result(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())["tasks"]["kinds:kinds"]


def weights(folder: Path) -> dict[str, np.ndarray]:
    return huggingface.read(folder)[1]


def test_model_tuning_changes_every_weight_of_a_copy(tuned, model):
    before, after = weights(model), weights(tuned / FOLDER)
    assert [name for name in before if np.array_equal(before[name], after[name])] == []
    assert fingerprint(before) == json.loads((tuned / "results.json").read_text())["base_fingerprint"]


def test_a_tuned_model_scores_again_as_it_was_scored(tuned, model, tmp_path):
    """As a base model, without any tuning, it does what results.json says the tuned one did."""
    [row], untuned = result(tuned)["members"], result(tuned)["untuned"]
    again = Train(
        output=str(tmp_path / "run"),
        model=BaseModel(checkpoint=str(tuned / FOLDER)),
        tasks=("kinds:kinds",),
        method="design",
        design=Design(shots=0, cue=""),
        input_length=48,
        positions=512,
    )
    again.run()
    found = result(tmp_path / "run")
    scores = found["untuned"]
    assert scores == {name: row[name] for name in scores} and scores != untuned
    # No shots and no cue are no design: the same as the model alone.
    assert {name: found["members"][0][name] for name in scores} == scores


@pytest.mark.parametrize("folder", ["", FOLDER])
def test_eval_and_infer_find_a_tuned_model_with_its_task_and_its_limits(tuned, ptune, tmp_path, folder):
    code, out, errors = ptune("eval", tuned / folder, "--positions", "512", "--json")
    assert code == 0, errors
    [row] = result(tuned)["members"]
    [[(member, scores)]] = [own.items() for own in json.loads(out)["tasks"].values()]
    greedy = {name.removeprefix("greedy_"): value for name, value in row.items() if name.startswith("greedy_")}
    assert member == row["member"] and scores == {**greedy, "n": 12, "invalid": row["invalid"]}
    lines = [json.loads(line) for line in (tuned / f"predictions/{member}-validation.jsonl").read_text().splitlines()]
    (tmp_path / "input").write_text("".join(f"{line['inputs']}\n" for line in lines))
    code, out, errors = ptune("infer", tuned / folder, "--input", tmp_path / "input")
    assert code == 0, errors
    assert [json.loads(line)["prediction"] for line in out.splitlines()] == [line["text"] for line in lines]
    (tmp_path / "input").write_text(out)  # whose lines name what answered
    assert ptune("infer", tuned / folder, "--input", tmp_path / "input")[:2] == (0, out)


def test_a_tuned_model_is_scored_alone_with_its_own_weights(tuned, model, bank, ptune):
    hint = f"{tuned / FOLDER} has weights of its own; score it alone, and leave out --model"
    for more in (("--model.checkpoint", model), (bank,)):
        code, _, errors = ptune("eval", tuned, *more)
        assert code == 2 and hint in errors


def test_a_tuned_model_has_no_prompt_to_inspect(tuned, ptune):
    code, _, errors = ptune("inspect", tuned)
    assert code == 2 and f"{tuned / FOLDER} is a tuned model, which has no prompt" in errors


def test_a_damaged_description_of_a_tuned_model_is_named(tuned, ptune, tmp_path):
    (tmp_path / "tuned.json").write_text("{}")
    code, _, errors = ptune("eval", tmp_path)
    assert code == 2 and f"cannot read {tmp_path / 'tuned.json'}" in errors


def test_the_best_step_of_a_tuned_model_is_kept_and_not_the_last(model, tmp_path):
    """A learning rate that ruins the model: of equal scores the earliest step, the start, is what is left."""
    run = Train(
        output=str(tmp_path / "run"),
        model=BaseModel(checkpoint=str(model)),
        tasks=("kinds:kinds",),
        method="model",
        protocol="rank",
        optimizer=Adafactor(learning_rate=3.0),
        steps=4,
        batch_size=4,
        input_length=48,
        positions=512,
        every=Every(evaluate=1, save=1, log=1, before_training=True),
    )
    run.run()
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    scores = {row["step"]: row["validation/accuracy/kinds.kinds-0"] for row in rows if "validation/accuracy/kinds.kinds-0" in row}
    [row] = result(tmp_path / "run")["members"]
    assert sorted(scores) == [0, 1, 2, 3, 4] and max(scores.values()) == scores[0] == row["validation"] and row["best_step"] == 0
    assert max(row.get("train/loss/kinds.kinds-0", 0) for row in rows) > 10
    assert fingerprint(weights(tmp_path / "run" / FOLDER)) == fingerprint(weights(model))


def test_model_tuning_killed_in_the_middle_ends_as_if_it_had_never_been(tuned, model, ptune, tmp_path):
    command = model_folder.train(model, tmp_path / "run", *TUNE, *STEP)
    with python(STOPS, "kill", 12, *command, cwd=TESTS) as killed:
        _, errors = killed.communicate()
    assert killed.returncode == -9, errors
    assert not (tmp_path / "run" / FOLDER).exists()
    assert ptune(*command)[0] == 0
    assert len(json.loads((tmp_path / "run/run.json").read_text())["starts"]) == 2
    whole, resumed = weights(tuned / FOLDER), weights(tmp_path / "run" / FOLDER)
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_one_run_tunes_one_model(model, ptune, tmp_path):
    code, _, errors = ptune(*model_folder.train(model, tmp_path / "run", *TUNE, "--seeds", "0,1"))
    assert code == 2 and "one model a run, and this one has 2 seeds: 0, 1" in errors
    code, _, errors = ptune(*model_folder.train(model, tmp_path / "run", *TUNE, "--model.weights_dtype", "bfloat16"))
    assert code == 2 and "give --model.weights_dtype float32" in errors
    assert not (tmp_path / "run").exists()


def test_prompt_design_shows_training_examples_and_trains_nothing(model, ptune, tmp_path):
    flags = ("--method", "design", "--design.shots", "3", "--design.separator", ":", "--seeds", "0,1")
    code, _, errors = ptune(*model_folder.train(model, tmp_path / "run", *flags))
    assert code == 0, errors
    found = json.loads((tmp_path / "run/results.json").read_text())
    rows = found["tasks"]["kinds:kinds"]["members"]
    assert found["method"] == "design" and [row["seed"] for row in rows] == [0, 1]
    texts = [Path(row["design"]).read_text() for row in rows]
    assert texts[0] != texts[1]
    vocabulary = Vocabulary(model_folder.VOCABULARY)  # it does not know every digit
    inputs = [" ".join(vocabulary.decode(vocabulary.encode(text)).split()) for text in kinds.rows("train")["inputs"]]
    pairs = dict(zip(inputs, kinds.rows("train")["targets"], strict=True))
    for text in texts:
        *solved, query = text.strip().replace("answer:", "answer").split(":")
        assert query.strip() == "{inputs} answer" and len(solved) == 3
        shown = dict(" ".join(one.split()).split(" answer ") for one in solved)
        assert {text: pairs[text] for text in shown} == shown
        assert sorted(shown.values()) == sorted(kinds.WORDS)  # one of each label
    assert not (tmp_path / "run/checkpoints").exists() and not (tmp_path / "run/metrics.jsonl").exists()


def test_an_input_stands_behind_the_examples_and_before_the_cue():
    vocabulary, rows = Vocabulary(model_folder.VOCABULARY), tiny.Rows(8)
    design = Design(shots=2, cue="dog", separator="plant")
    around = design.around(rows, vocabulary, 6, seed=3)
    cue, separator = vocabulary.encode("dog"), vocabulary.encode("plant")
    expected = []
    for i in chosen(rows, 2, seed=3):
        expected += [*rows.inputs(i)[:5], *cue, *rows.targets(i), *separator]
    assert around(np.array([7, 8, 1])).tolist() == [*expected, 7, 8, *cue, 1]
    assert around.length == len(expected) + len(cue)


def test_examples_are_drawn_by_seed_and_no_target_more_often_than_another():
    class Unbalanced(tiny.Rows):
        def targets(self, i):
            return np.array([3 if i % 10 else 4])

    rows = Unbalanced(40)
    drawn = chosen(rows, 6, seed=0)
    assert sorted(int(rows.targets(i)[0]) for i in drawn) == [3, 3, 3, 4, 4, 4] and len(set(drawn)) == 6
    assert chosen(rows, 6, seed=0) == drawn != chosen(rows, 6, seed=1)
    assert len(set(chosen(rows, 40, seed=0))) == 40


def test_more_shots_than_examples_are_refused(model, ptune, tmp_path):
    command = model_folder.train(model, tmp_path / "run", "--method", "design", "--design.shots", "41")
    code, _, errors = ptune(*command, "--design.separator", ":")
    assert code == 2 and "41 shots were asked for, and there are 40 training examples" in errors
    code, _, errors = ptune(*command, "--design.separator", "=")
    assert code == 2 and "cannot spell '='" in errors and not (tmp_path / "run").exists()
