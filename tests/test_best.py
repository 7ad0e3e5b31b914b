"""Which step of a member is the best, and is kept."""

import json

import pytest

from ptune_cli.evaluation.score import Prediction, Scores
from ptune_cli.prompts.bank import Prompt, members
from ptune_cli.runs import RunFolder
from ptune_cli.training.best import Best

BANK = members(["rows"], [Prompt(length=2)], [0])


def kept(folder, evaluations: list[tuple[float, float]]) -> int:
    """The step that is kept when the evaluations of steps 0, 1, ... give these (accuracy, percent of invalid answers).

    Checkpoints are kept by `rank`; theirs is the same step.
    """
    name, steps, ranks = BANK[0].name, [], []

    def score(step):
        accuracy, invalid = evaluations[step]
        prediction = Prediction(0, "inputs", "target", f"step {step}", None, None)
        return {name: Scores({"accuracy": accuracy}, accuracy, 1, invalid, [prediction])}

    with RunFolder.open(folder, "config = 1\n") as run:
        best = Best(BANK, score, {"rows": ("accuracy",)}, lambda step, member, trainable, scores: steps.append(trainable), run)
        for step in range(len(evaluations)):
            best(step, step)
            ranks.append((best.rank(), -step))
    assert steps[-1] == best.best[name]["step"] == -max(ranks)[1]
    assert json.loads((folder / f"predictions/{name}-validation.jsonl").read_text())["text"] == f"step {steps[-1]}"
    return steps[-1]


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
