"""`ptune eval` and `ptune infer`: the same numbers and the same answers as validation while training."""

import io
import json
import shutil
import sys

import model_folder
import numpy as np
import pytest

from ptune_cli.formats import prompt as prompt_format

MEMBERS = [f"kinds.kinds-p{length}-{seed}" for length in (3, 5) for seed in (0, 1)]
MEMBER = MEMBERS[3]
# Of training too: XLA sums in another order for another number of rows, and the last bit of a score may differ.
SAME_BATCH = ("--positions", "512")


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def validated(run, member=MEMBER) -> list[dict]:
    return lines(run / "predictions" / f"{member}-validation.jsonl")


def recorded(run, member=MEMBER) -> dict:
    return prompt_format.read(run / "prompts" / member).metadata["scores"]


@pytest.fixture(scope="module")
def ranked(model, tmp_path_factory):
    """A run that validates by ranking the labels."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("ranked") / "run"
    flags = ("--protocol", "rank", "--optimizer.learning_rate", "1.0", "--steps", "60", "--every.evaluate", "20")
    assert cli.main(model_folder.train(model, folder, *flags)) == 0
    return folder


def test_eval_of_a_run_is_its_validation_again(bank, ptune, tmp_path):
    code, out, _ = ptune("eval", bank, "--json", "--output", tmp_path / "predictions.jsonl")
    assert code == 0
    found = json.loads(out)
    assert (found["split"], list(found["tasks"])) == ("validation", [model_folder.TASK])
    written = lines(tmp_path / "predictions.jsonl")
    for member in MEMBERS:
        assert found["tasks"][model_folder.TASK][member] == recorded(bank, member)
        own = [row for row in written if row["member"] == member]
        assert [row.items() - {("member", member), ("task", model_folder.TASK)} for row in own] == [
            row.items() for row in validated(bank, member)
        ]


@pytest.mark.parametrize("where", ["", "prompt.safetensors"])
def test_eval_of_one_prompt_is_its_validation_again(bank, ptune, tmp_path, where):
    code, out, _ = ptune("eval", bank / "prompts" / MEMBER / where, "--json", "--output", tmp_path / "predictions.jsonl")
    assert code == 0
    assert json.loads(out)["tasks"] == {model_folder.TASK: {MEMBER: recorded(bank)}}
    assert [row["text"] for row in lines(tmp_path / "predictions.jsonl")] == [row["text"] for row in validated(bank)]


def test_eval_ranks_as_training_did(ranked, ptune, tmp_path):
    code, out, _ = ptune("eval", ranked, "--json", "--output", tmp_path / "predictions.jsonl", *SAME_BATCH)
    assert code == 0
    ((member, scores),) = json.loads(out)["tasks"][model_folder.TASK].items()
    assert scores == recorded(ranked, member)
    for found, expected in zip(lines(tmp_path / "predictions.jsonl"), validated(ranked, member), strict=True):
        assert found["scores"] == expected["scores"]


def test_eval_of_a_plain_array_needs_the_task_and_the_model_and_gives_the_same(bank, model, ptune):
    array = bank / "prompts" / MEMBER / "prompt.npy"
    assert "does not say its task; give --task" in ptune("eval", array, "--model.checkpoint", model)[2]
    assert "does not say its base model; give --model.checkpoint" in ptune("eval", array, "--task", model_folder.TASK)[2]
    code, out, _ = ptune(
        *("eval", array, "--task", model_folder.TASK, "--model.checkpoint", model, "--target_length", 3, "--json")
    )
    assert code == 0
    assert list(json.loads(out)["tasks"][model_folder.TASK].values()) == [recorded(bank)]


def test_eval_prints_a_row_for_each_prompt_with_n_and_invalid(bank, ptune):
    code, out, errors = ptune("eval", bank, "--split", "test")
    assert (code, errors) == (0, "")
    for member in MEMBERS:
        (row,) = (line for line in out.splitlines() if member in line)
        assert row.split("│")[3].strip() == "8"
    assert "invalid" in out


@pytest.fixture
def inputs(bank):
    """The texts of the validation split, and what the prompt answered in training."""
    return [(row["inputs"], row["text"]) for row in validated(bank)]


def test_infer_answers_as_validation_did_from_every_kind_of_input(bank, inputs, ptune, tmp_path, monkeypatch):
    prompt = bank / "prompts" / MEMBER
    texts, answers = zip(*inputs, strict=True)
    plain = "".join(f"{text}\n" for text in texts)
    rows = "".join(json.dumps({"id": i, "inputs": text}) + "\n" for i, text in enumerate(texts))
    for content in (plain, rows, plain.replace("\n", "\r\n"), plain.rstrip("\n"), plain.replace("\n", "\n\n")):
        (tmp_path / "input").write_bytes(content.encode())
        assert ptune("infer", prompt, "--input", tmp_path / "input", "--output", tmp_path / "output")[0] == 0
        from_file = lines(tmp_path / "output")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        code, out, errors = ptune("infer", prompt)
        assert (code, errors) == (0, "")
        assert [json.loads(line) for line in out.splitlines()] == from_file
        assert [row["inputs"] for row in from_file] == list(texts)
        assert [row["prediction"] for row in from_file] == list(answers)
    (tmp_path / "input").write_text(rows)
    assert [json.loads(line)["id"] for line in ptune("infer", prompt, "--input", tmp_path / "input")[1].splitlines()] == list(
        range(len(texts))
    )


def test_the_order_and_the_batch_of_an_input_do_not_change_its_answer(bank, inputs, ptune, tmp_path):
    shuffled = [inputs[i] for i in np.random.default_rng(0).permutation(len(inputs))]
    (tmp_path / "input").write_text("".join(f"{text}\n" for text, _ in shuffled))
    for positions in (1, 100, 4096):
        command = ("infer", bank / "prompts" / MEMBER, "--input", tmp_path / "input", "--positions", positions)
        answers = [json.loads(line)["prediction"] for line in ptune(*command)[1].splitlines()]
        assert answers == [text for _, text in shuffled]


def test_infer_with_labels_chooses_as_eval_does(ranked, ptune, tmp_path):
    (member,) = (folder.name for folder in (ranked / "prompts").iterdir())
    expected = validated(ranked, member)
    assert len({row["answer"] for row in expected}) > 1  # else this would show nothing
    (tmp_path / "input").write_text("".join(json.dumps({"inputs": row["inputs"]}) + "\n" for row in expected))
    command = ("infer", ranked, "--input", tmp_path / "input", *SAME_BATCH, "--labels")
    found = [json.loads(line) for line in ptune(*command, ",".join(model_folder.LABELS))[1].splitlines()]
    assert [row["prediction"] for row in found] == [row["answer"] for row in expected]
    assert [row["scores"] for row in found] == [row["scores"] for row in expected]
    two = [json.loads(line) for line in ptune(*command, "plant,dog")[1].splitlines()]
    assert {row["prediction"] for row in two} <= {"plant", "dog"}


def test_of_a_run_with_several_prompts_the_best_answers(bank, inputs, ptune, tmp_path):
    (prompts,) = (task["members"] for task in json.loads((bank / "results.json").read_text())["tasks"].values())
    best = max(prompts, key=lambda row: row["validation"])["member"]
    (tmp_path / "input").write_text("".join(f"{text}\n" for text, _ in inputs))
    answers = [json.loads(line)["prediction"] for line in ptune("infer", bank, "--input", tmp_path / "input")[1].splitlines()]
    assert answers == [row["text"] for row in validated(bank, best)]


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_no_input_is_no_output(bank, ptune, tmp_path, content):
    (tmp_path / "input").write_text(content)
    assert ptune("infer", bank, "--input", tmp_path / "input", "--output", tmp_path / "output") == (0, "", "")
    assert (tmp_path / "output").read_bytes() == b""


def test_inputs_that_are_cut_are_told_of_with_count_and_share(bank, ptune, tmp_path):
    (tmp_path / "input").write_text("dog\n" * 3 + "in the sand " * 30 + "\n")
    code, out, errors = ptune("infer", bank, "--input", tmp_path / "input")
    assert (code, errors) == (0, "1 of 4 inputs (25.0%) are cut to 48 tokens\n")
    assert len(out.splitlines()) == 4


def test_a_separator_inside_a_text_does_not_end_the_line(bank, ptune, tmp_path):
    (tmp_path / "input").write_text("a dog\u2028in the\x0csand\x85\n", encoding="utf-8")
    (row,) = [json.loads(line) for line in ptune("infer", bank, "--input", tmp_path / "input")[1].split("\n") if line]
    assert row["inputs"] == "a dog\u2028in the\x0csand\x85"


def test_a_prompt_moves_with_its_file_alone(bank, inputs, ptune, tmp_path):
    shutil.copy(bank / "prompts" / MEMBER / "prompt.safetensors", tmp_path / "mine.safetensors")
    (tmp_path / "input").write_text("".join(f"{text}\n" for text, _ in inputs))
    _, out, _ = ptune("infer", tmp_path / "mine.safetensors", "--input", tmp_path / "input")
    assert [json.loads(line)["prediction"] for line in out.splitlines()] == [text for _, text in inputs]
