"""Which step of a member is the best, and is kept."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from ptune_cli.evaluation.score import Prediction, Scores
from ptune_cli.formats import prompt
from ptune_cli.prompts.bank import Prompt, members
from ptune_cli.runs import RunFolder
from ptune_cli.training.best import BestPrompts, prompt_folder

BANK = members(["rows"], [Prompt(length=2)], [0])


def kept(folder, evaluations: list[tuple[float, float]]) -> int:
    """The step that is kept when the evaluations of steps 0, 1, ... give these (accuracy, percent of invalid answers)."""
    each = iter(evaluations)

    def scorer(params, table, layouts, split, protocols):
        accuracy, invalid = next(each)
        prediction = Prediction(0, "inputs", "target", "text", None, None)
        return {protocols[0]: [Scores({"accuracy": accuracy}, accuracy, 1, invalid, [prediction])]}

    splits = {"rows": SimpleNamespace(headline=("accuracy",))}
    with RunFolder.open(folder, "config = 1\n") as run:
        best = BestPrompts(SimpleNamespace(params={}), BANK, scorer, "greedy", splits, run, lambda member: {})
        for step in range(len(evaluations)):
            best(step, {BANK[0].name: np.full((2, 4), step, np.float32)})
    file = prompt.read(prompt_folder(folder, BANK[0].name))
    assert file.metadata["step"] == best.best[BANK[0].name]["step"] == file.array[0, 0]
    assert json.loads((folder / f"predictions/{BANK[0].name}-validation.jsonl").read_text())["text"] == "text"
    return file.metadata["step"]


@pytest.mark.parametrize(
    ("evaluations", "step"),
    [
        ([(50, 0), (70, 0), (60, 0)], 1),
        ([(50, 0), (70, 9), (70, 9)], 1),  # of equals the earliest: it has fitted the training data least
        ([(0, 100), (0, 100), (0, 30), (0, 30)], 2),  # at 0%, the one that has begun to answer in labels
        ([(50, 0), (51, 40)], 1),  # the metric comes first
    ],
)
def test_the_best_step_has_the_highest_metric_then_the_fewest_invalid_answers_then_is_the_earliest(evaluations, step, tmp_path):
    assert kept(tmp_path / "run", evaluations) == step
