"""Every kind of task from the raw files of its publisher to a score: TFDS's builders, seqio, preparation, training, metrics."""

import json
import math

import numpy as np
import pytest
from tfds_run import TRAINED, VOCABULARY

from ptune_cli.base_model import BaseModel
from ptune_cli.data.examples import Lengths
from ptune_cli.data.microbatches import Cost
from ptune_cli.data.preparation import ensure
from ptune_cli.errors import UserError
from ptune_cli.evaluation.predict import Predictor
from ptune_cli.evaluation.score import Scorer
from tasks import catalog


def test_every_task_is_scored_by_its_own_metrics(tasks_run):
    found = json.loads((tasks_run / "results.json").read_text())["tasks"]
    assert set(found) == set(TRAINED)
    for name, result in found.items():
        (row,) = result["members"]
        for score in catalog.lookup(name).headline:
            assert 0 <= abs(row[f"greedy_{score}"]) <= 100, name
        assert result["n"] > 0 and result["splits"]["policy"] == "dev-as-test"


def test_labels_of_the_rows_are_those_of_the_table(prepared_tasks):
    for (task, split), found in prepared_tasks.items():
        targets = {found.row(i)["targets"] for i in range(len(found))}
        assert found.labels is None or targets <= {*found.labels, "<unk>"}, (task, split)
        assert split == "test" or "<unk>" not in targets, (task, split)


def test_wsc_trains_on_true_rows_and_is_evaluated_on_all(prepared_tasks):
    def labels(split):
        return [prepared_tasks["wsc", split].row(i)["label"] for i in range(len(prepared_tasks["wsc", split]))]

    assert set(labels("train")) == {1} and set(labels("validation")) == {0, 1}


def test_a_put_together_task_is_trained_on_one_dataset_and_tested_on_another(prepared_tasks):
    assert prepared_tasks["squad_to_bio_asq", "train"].folder == prepared_tasks["squad", "train"].folder
    assert prepared_tasks["squad_to_bio_asq", "test"].manifest["task"] == "mrqa_bio_asq_v100"
    assert prepared_tasks["qqp_to_mrpc", "test"].postprocess == "from_qqp"


def test_hidden_answers_have_predictions_and_no_score(prepared_tasks, tasks_run, ptune):
    code, out, errors = ptune("eval", tasks_run / "prompts/boolq-0", "--split", "test", "--json")
    assert code == 0, errors
    scores = json.loads(out)["tasks"]["boolq"]["boolq-0"]
    assert scores["n"] == len(prepared_tasks["boolq", "test"]) and set(scores) == {"n", "invalid"}


@pytest.mark.parametrize("task", ["multirc", "record", "squad"])
def test_scores_do_not_depend_on_how_much_is_computed_at_once(task, prepared_tasks, tasks_run):
    frozen = BaseModel(checkpoint=str(tasks_run.parent / "model")).load()
    table = np.random.default_rng(0).normal(size=(2, frozen.config.emb_dim)).astype(np.float32)
    split = prepared_tasks[task, "validation"]
    found = []
    for positions, longest in ((1, 256), (2_000, 512), (10_000, 256)):
        scorer = Scorer(Predictor(frozen.model, Cost(positions, 0, 4_000), Lengths(longest, 4, prompt=2)), frozen.vocabulary)
        (scores,) = scorer(frozen.params, table, [lambda ids: np.append([-1, -2], ids)], split, ["greedy"])["greedy"]
        found.append((scores.metrics, [p.text for p in scores.predictions]))
    assert found[0] == found[1] == found[2]
    assert not math.isnan(scores.score)


def test_offline_with_nothing_there_says_at_once_what_to_run(cache, tmp_path, ptune):
    code, out, errors = ptune("prepare", "trivia_qa", "--offline", "true", "--data_dir", tmp_path)
    assert (code, out) == (2, "")
    expected = "mrqa_trivia_qa_v100 train is not prepared, and mrqa/trivia_qa:1.0.0 is not in"
    assert errors.count("\n") == 1 and expected in errors and "run `ptune prepare mrqa_trivia_qa_v100`" in errors


def test_offline_takes_what_tfds_has_prepared(prepared_tasks, data_dir, tmp_path):
    """Another cache: nothing of ptune's is there, but the datasets are."""
    (found,) = ensure([("cb", "validation")], VOCABULARY, tmp_path, lambda *_: None, data_dir=str(data_dir), offline=True)
    assert len(found) == len(prepared_tasks["cb", "validation"])
    with pytest.raises(UserError, match="is not in"):
        ensure([("hotpot_qa", "validation")], VOCABULARY, tmp_path, lambda *_: None, data_dir=str(data_dir), offline=True)
