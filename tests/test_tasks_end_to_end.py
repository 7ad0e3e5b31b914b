"""Every kind of task from the raw files of its publisher to a score: TFDS's builders, seqio, preparation, training, metrics."""

import json
import math

import model_folder
import numpy as np
import pytest
import tfds_seed

from ptune_cli.base_model import ASSETS, BaseModel
from ptune_cli.data.batches import Lengths
from ptune_cli.data.preparation import ensure
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.evaluation.predict import Predictor
from ptune_cli.evaluation.score import Scorer
from tasks import catalog

TRAINED = ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc", "cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli")
QUESTIONS = ("squad", "news_qa", "squad_to_bio_asq")
TESTED = ("axb", "axg", "ax", "dpr", "boolq", "record", "wsc")  # their test splits
VOCABULARY = Vocabulary(ASSETS / "tiny" / "spiece.model")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A TFDS folder with raw downloads and nothing prepared."""
    folder = tmp_path_factory.mktemp("tfds")
    tfds_seed.seed(folder)
    return folder


@pytest.fixture(scope="module")
def prepared(cache, data_dir):
    """{(task, split): its prepared split} of all tasks that the fixtures are for, made by one process."""
    wanted = [(task, split) for task in (*TRAINED, *QUESTIONS) for split in ("train", "validation")]
    wanted += [("squad_to_bio_asq", "test"), ("qqp_to_mrpc", "test"), *((task, "test") for task in TESTED)]
    found = ensure(wanted, VOCABULARY, progress=lambda *_: None, data_dir=str(data_dir))
    return dict(zip(wanted, found, strict=True))


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    """A finished run of one prompt for each task, together in one bank."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("tasks")
    rows = -(-VOCABULARY.size // 64) * 64
    model = model_folder.write(folder / "model", vocab_size=rows)
    (model / "spiece.model").write_bytes(VOCABULARY.path.read_bytes())
    flags = ("--tasks", ",".join((*TRAINED, *QUESTIONS)), "--steps", "2", "--input_length", "256", "--offline", "true")
    assert cli.main(model_folder.train(model, folder / "run", *flags, "--every.before_training", "false")) == 0
    return folder / "run"


def test_every_task_is_scored_by_its_own_metrics(run):
    found = json.loads((run / "results.json").read_text())["tasks"]
    assert set(found) == {*TRAINED, *QUESTIONS}
    for name, result in found.items():
        (row,) = result["prompts"]
        for score in catalog.lookup(name).headline:
            assert 0 <= abs(row[f"greedy_{score}"]) <= 100, name
        assert result["n"] > 0 and result["splits"]["policy"] == "dev-as-test"


def test_labels_of_the_rows_are_those_of_the_table(prepared):
    for (task, split), found in prepared.items():
        targets = {found.row(i)["targets"] for i in range(len(found))}
        assert found.labels is None or targets <= {*found.labels, "<unk>"}, (task, split)
        assert split == "test" or "<unk>" not in targets, (task, split)


def test_wsc_trains_on_true_rows_and_is_evaluated_on_all(prepared):
    def labels(split):
        return [prepared["wsc", split].row(i)["label"] for i in range(len(prepared["wsc", split]))]

    assert set(labels("train")) == {1} and set(labels("validation")) == {0, 1}


def test_a_put_together_task_is_trained_on_one_dataset_and_tested_on_another(prepared):
    assert prepared["squad_to_bio_asq", "train"].folder == prepared["squad", "train"].folder
    assert prepared["squad_to_bio_asq", "test"].manifest["task"] == "mrqa_bio_asq_v100"
    assert prepared["qqp_to_mrpc", "test"].postprocess == "from_qqp"


def test_hidden_answers_have_predictions_and_no_score(prepared, run, ptune):
    code, out, errors = ptune("eval", run / "prompts/boolq-0", "--split", "test", "--json")
    assert code == 0, errors
    scores = json.loads(out)["tasks"]["boolq"]["boolq-0"]
    assert scores["n"] == len(prepared["boolq", "test"]) and set(scores) == {"n", "invalid"}


@pytest.mark.parametrize("task", ["multirc", "record", "squad"])
def test_scores_do_not_depend_on_the_batch_size_or_the_padding(task, prepared, run):
    frozen = BaseModel(checkpoint=str(run.parent / "model")).load()
    table = np.random.default_rng(0).normal(size=(2, frozen.config.emb_dim)).astype(np.float32)
    split = prepared[task, "validation"]
    found = []
    for batch, longest in ((1, 256), (7, 512), (32, 256)):
        scorer = Scorer(Predictor(frozen.model, batch, Lengths(longest, 4, prompt=2)), frozen.vocabulary)
        (scores,) = scorer(frozen.params, table, [lambda ids: np.append([-1, -2], ids)], split, ["greedy"])["greedy"]
        found.append((scores.metrics, [p.text for p in scores.predictions]))
    assert found[0] == found[1] == found[2]
    assert not math.isnan(scores.score)


def test_offline_with_nothing_there_says_at_once_what_to_run(cache, tmp_path, ptune):
    code, out, errors = ptune("prepare", "trivia_qa", "--offline", "true", "--data_dir", tmp_path)
    assert (code, out) == (2, "")
    expected = "mrqa_trivia_qa_v100 train is not prepared, and mrqa/trivia_qa:1.0.0 is not in"
    assert errors.count("\n") == 1 and expected in errors and "run `ptune prepare mrqa_trivia_qa_v100`" in errors


def test_offline_takes_what_tfds_has_prepared(prepared, data_dir, tmp_path):
    """Another cache: nothing of ptune's is there, but the datasets are."""
    (found,) = ensure([("cb", "validation")], VOCABULARY, tmp_path, lambda *_: None, data_dir=str(data_dir), offline=True)
    assert len(found) == len(prepared["cb", "validation"])
    with pytest.raises(UserError, match="is not in"):
        ensure([("hotpot_qa", "validation")], VOCABULARY, tmp_path, lambda *_: None, data_dir=str(data_dir), offline=True)
