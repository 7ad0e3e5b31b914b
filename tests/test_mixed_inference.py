"""`ptune infer` on several tasks at once: a batch that mixes their prompts says what each prompt says alone."""

import json
from pathlib import Path

import jax
import model_folder
import numpy as np
import pytest
import tiny

from ptune_cli import cli
from ptune_cli.base_model import BaseModel
from ptune_cli.data.examples import Lengths
from ptune_cli.data.microbatches import COSTS
from ptune_cli.evaluation import predict
from ptune_cli.evaluation.predict import Predictor
from ptune_cli.formats import prompt as prompt_format
from ptune_cli.formats.prompt import PromptFile
from ptune_cli.t5.model import T5

pytestmark = pytest.mark.usefixtures("x64")  # the activations' dtype here: equal means equal

# Where a prompt is, below the test's folder, and what it was trained with: they differ in all that a batch could mix up.
PROMPTS = {
    "runs/small/prompts/dog-0": {"rows": 1, "task": "dog", "input_length": 40, "target_length": 6},
    "runs/small/prompts/plant-0": {"rows": 9, "task": "plant", "input_length": 12, "target_length": 3, "placement": "suffix"},
    "runs/large/prompts/people-0": {"rows": 14, "task": "people", "input_length": 40, "target_length": 5, "protocol": "beam"},
    "runs/large/prompts/plant-0": {"rows": 4, "task": "plant", "input_length": 40, "target_length": 2, "protocol": "beam"},
}
NAMES = ("dog-0", "small/plant-0", "people-0", "large/plant-0")  # in their order above
TEXTS = ["the dog", "tree " * 9, "wolf"]
LABELS = ("--labels", ",".join(model_folder.LABELS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs of two prompts each for one model."""
    folder = tmp_path_factory.mktemp("mixed")
    model = BaseModel(checkpoint=str(model_folder.write(folder / "model")), dtype="float64")
    with jax.enable_x64(True):
        frozen = model.load()
    known = {"base_fingerprint": frozen.fingerprint, "base_model": frozen.name, "model": model.as_json()}
    for seed, (place, own) in enumerate(PROMPTS.items()):
        array = 3 * np.random.default_rng(seed).normal(size=(own["rows"], frozen.config.emb_dim))
        prompt_format.write(folder / place, PromptFile(array, {**known, **own}))
    return folder


@pytest.fixture
def infer(folder, ptune, tmp_path, monkeypatch):
    """Writes lines, answers them with the prompts at some places, returns the rows of the output."""
    monkeypatch.chdir(folder)

    def run(prompts, lines, *flags) -> list[dict]:
        (tmp_path / "lines").write_text("".join(f"{line}\n" for line in lines))
        code, out, errors = ptune("infer", *prompts, "--input", tmp_path / "lines", *flags)
        assert code == 0, errors
        return [json.loads(line) for line in out.splitlines()]

    return run


def mixed() -> list[str]:
    """Every text for every prompt; each row is for another prompt than the row before."""
    return [json.dumps({"prompt": name, "inputs": text, "id": f"{name} {i}"}) for i, text in enumerate(TEXTS) for name in NAMES]


@pytest.fixture(scope="module")
def alone(folder):
    """(what each prompt says to each text, the same among labels): {id: row}, from runs of one prompt and batches of one."""
    (folder / "texts").write_text("".join(f"{text}\n" for text in TEXTS))

    def said(place, *flags) -> list[dict]:
        command = ["infer", str(folder / place), "--input", str(folder / "texts"), "--output", str(folder / "said"), *flags]
        with jax.enable_x64(True):
            assert cli.main([*command, "--positions", "1"]) == 0
        return [json.loads(line) for line in (folder / "said").read_text().splitlines()]

    def of_all(*flags) -> dict[str, dict]:
        each = zip(NAMES, PROMPTS, strict=True)
        return {f"{name} {i}": row for name, place in each for i, row in enumerate(said(place, *flags))}

    return of_all(), of_all(*LABELS)


@pytest.mark.parametrize("positions", [1, 200])
def test_a_mixed_batch_says_what_each_prompt_says_alone(positions, infer, alone):
    """Greedy and beam search; other lengths, placements, input lengths and target lengths."""
    expected, _ = alone
    found = infer(["runs/small", "runs/large"], mixed(), "--positions", positions)
    assert [row["id"] for row in found] == [json.loads(line)["id"] for line in mixed()]  # in the input's order
    assert [row["prediction"] for row in found] == [expected[row["id"]]["prediction"] for row in found]
    for i in range(len(TEXTS)):  # else an answer by another prompt would not show
        assert len({expected[f"{name} {i}"]["prediction"] for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("positions", [1, 200])
def test_a_mixed_batch_scores_labels_as_each_prompt_does_alone(positions, infer, alone):
    _, expected = alone
    for row in infer(["runs/small", "runs/large"], mixed(), *LABELS, "--positions", positions):
        assert row["prediction"] == expected[row["id"]]["prediction"]
        for label, score in row["scores"].items():  # the same sums in another order
            assert score == pytest.approx(expected[row["id"]]["scores"][label], rel=0, abs=1e-12)


def test_rows_of_all_tasks_are_one_batch_of_one_model(infer, monkeypatch):
    batches, loads = [], []
    monkeypatch.setattr(predict, "pad", lambda *rows, pad=predict.pad: batches.append(pad(*rows)) or batches[-1])
    monkeypatch.setattr(BaseModel, "load", lambda *given, load=BaseModel.load: loads.append(given) or load(*given))
    infer(["runs/small", "runs/large"], mixed())
    ends = np.cumsum([own["rows"] for own in PROMPTS.values()])  # of each prompt's rows in the table
    whose = [{int(np.searchsorted(ends, -slot - 1, side="right")) for slot in ids[ids < 0]} for ids in batches]
    assert len(loads) == 1 and set().union(*whose) == set(range(len(PROMPTS)))
    assert len({ids.shape for ids in batches}) == len(batches)  # all rows of a length are in one
    assert max(map(len, whose)) > 1


@pytest.mark.parametrize(("protocol", "beams"), [("greedy", 1), ("beam", 1), ("beam", 3)])
def test_rows_of_other_limits_are_decoded_as_if_all_had_theirs(protocol, beams):
    c = tiny.config(vocab_size=8, num_encoder_layers=1, dtype="float64")  # so few words that some rows end early
    params, random = tiny.weights(c, seed=29), np.random.default_rng(0)
    inputs, table = [np.append(random.integers(2, 8, n % 5), 1) for n in range(12)], np.zeros((1, c.emb_dim))

    def decoded(longest, limits=None):
        predictor = Predictor(T5(c), COSTS["cpu"], Lengths(8, longest), beams)
        return predictor(params, table, inputs, [protocol], None, limits)[protocol]

    apart = {limit: decoded(limit) for limit in (2, 6)}
    assert any(row[1] > 1 and row[2] > 0 for row in apart[6])  # else the short limit would cut nothing
    limits = [2, 6] * 6
    for row, limit, each in zip(decoded(6, limits), limits, range(12), strict=True):
        np.testing.assert_array_equal(row, np.pad(apart[limit][each], (0, 6 - limit)))


def test_plain_lines_need_no_name_where_there_is_one_prompt(infer):
    (row,) = infer(["runs/small/prompts/dog-0"], ["the dog"])
    assert list(row) == ["prompt", "inputs", "prediction"]
    assert (row["prompt"], row["inputs"]) == ("dog-0", "the dog")


def test_of_prompts_of_one_task_the_one_that_validated_best_answers_where_none_is_named(infer, folder):
    scores = {"small": 20.0, "large": 30.0}
    for run, score in scores.items():
        members = [{"member": "plant-0", "validation": score}]
        (folder / "runs" / run / "results.json").write_text(json.dumps({"tasks": {"plant": {"members": members}}}))
    places = [f"runs/{run}/prompts/plant-0" for run in scores]
    named = json.dumps({"inputs": "a tree", "prompt": "small/plant-0"})
    assert [row["prompt"] for row in infer(places, ["a tree", named])] == ["large/plant-0", "small/plant-0"]


@pytest.mark.parametrize("name", ["large/plant-0", "runs/large/plant-0", "runs/large/prompts/plant-0"])
def test_a_prompt_of_a_name_that_two_have_is_named_with_its_run(name, infer):
    (row,) = infer(["runs/small", "runs/large"], [json.dumps({"prompt": name, "inputs": "a tree"})])
    (alone,) = infer(["runs/large/prompts/plant-0"], ["a tree"])
    assert (row["prompt"], row["prediction"]) == (name, alone["prediction"])


HAVE = "(have: dog-0, large/plant-0, people-0, small/plant-0)"
WRONG = {
    '{"prompt": "dgo-0", "inputs": "a"}': f"no prompt 'dgo-0'; did you mean 'dog-0'? {HAVE}",
    '{"prompt": "smal/plant-0", "inputs": "a"}': f"no prompt 'smal/plant-0'; did you mean 'small/plant-0'? {HAVE}",
    '{"prompt": "", "inputs": "a"}': f"no prompt ''; {HAVE}",
    '{"prompt": "plant-0", "inputs": "a"}': "2 prompts are called 'plant-0'; name one: small/plant-0, large/plant-0",
    '{"prompt": ["dog-0"], "inputs": "a"}': "no name in the field 'prompt'; it is [\"dog-0\"]",
    '{"inputs": "a"}': f"no prompt is named, and there are 4 prompts of several tasks; name one in the field 'prompt' {HAVE}",
    "a plain text": "no prompt is named, and there are 4 prompts of several tasks",
    '{"prompt": "dog-0", "input": "a"}': "no text in the field 'inputs'; did you mean 'input'? (have: input, prompt)",
    '{"prompt": "dog-0", "inputs": 3}': "no text in the field 'inputs'; it is 3",
    '{"prompt": "dog-0" "inputs": "a"}': "not JSON: Expecting ',' delimiter: line 1 column 20 (char 19)",
}


@pytest.mark.parametrize(("line", "message"), WRONG.items())
def test_a_wrong_line_is_named_with_its_file_and_number(line, message, folder, ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    (tmp_path / "mixed.jsonl").write_text('{"prompt": "dog-0", "inputs": "a"}\n\n' + line + "\n")
    code, out, errors = ptune("infer", "runs/small", "runs/large", "--input", tmp_path / "mixed.jsonl")
    assert (code, out) == (2, "") and errors.count("\n") == 1
    assert f"{tmp_path}/mixed.jsonl, line 3: {message}" in errors


def refused(ptune, *prompts) -> str:
    """The one line of an error."""
    Path("lines").write_text('{"prompt": "dog-0", "inputs": "a"}\n')
    code, out, errors = ptune("infer", *prompts, "--input", "lines")
    assert (code, out) == (2, "") and errors.count("\n") == 1
    return errors


def test_prompts_of_several_models_are_refused_with_the_one_that_is_of_another(folder, ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = prompt_format.read(folder / "runs/small/prompts/dog-0")
    other = PromptFile(known.array, {**known.metadata, "base_fingerprint": "0123", "base_model": "another"})
    prompt_format.write("other", other)
    error = refused(ptune, folder / "runs/small", "other")
    assert "other: the prompt was trained with a model of fingerprint 0123" in error
    assert error.endswith("use the model it was trained on (another)\n")


def test_a_prompt_that_is_given_twice_is_refused(folder, ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    again = folder / "runs/small/prompts/dog-0/prompt.npy"
    error = refused(ptune, folder / "runs/small", again)
    assert f"the prompt {folder}/runs/small/dog-0 is given 2 times; give each once" in error


def test_a_folder_above_tells_runs_of_one_name_apart(folder, ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("a/run/prompts/dog-0", "b/run/prompts/dog-0"):
        prompt_format.write(place, prompt_format.read(folder / "runs/small/prompts/dog-0"))
    assert "2 prompts are called 'dog-0'; name one: a/run/dog-0, b/run/dog-0" in refused(ptune, "a/run", "b/run")
