"""Scores of a bank on a split: predict, post-process, compare. The same path serves training, `eval` and `infer`."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from ptune_cli.data.prepared import Prepared
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.evaluation.predict import Predictor, Protocol, label_ids
from tasks import postprocessors
from tasks.metrics import METRICS


class Answer(NamedTuple):
    """What a prompted model says to an input; for rank classification the best label, and the log-likelihood of each."""

    text: str
    scores: dict[str, float] | None = None


@dataclass(frozen=True)
class Prediction:
    """One scored example. `answer` is what the metrics compare: the text after the task's postprocessor, None if invalid."""

    index: int
    inputs: str
    target: str
    text: str
    answer: Any
    scores: dict[str, float] | None

    def row(self) -> dict:
        """The example as a line of predictions.jsonl."""
        row = {"index": self.index, "inputs": self.inputs, "target": self.target, "text": self.text, "answer": self.answer}
        return row if self.scores is None else {**row, "scores": self.scores}


@dataclass(frozen=True)
class Scores:
    """A split's metrics in percent, with how many examples they are of and what share of outputs was no valid answer."""

    metrics: dict[str, float]
    score: float  # the mean of the task's headline metrics: what chooses the best step; NaN if the answers are hidden
    n: int
    invalid: float
    predictions: list[Prediction]

    def flat(self) -> dict[str, float]:
        return {**self.metrics, "n": self.n, "invalid": self.invalid}


def answers_of(split: Prepared, texts: Sequence[str]) -> list:
    """The answers [N] in the texts that were given for a split's examples, in its order."""
    post = postprocessors.POSTPROCESSORS[split.postprocess]
    return [post(text, split.row(i), split.labels, False) for i, text in enumerate(texts)]


def metrics_of(split: Prepared, answers: Sequence) -> dict[str, float]:
    """The metrics of a split, in percent, of the answers [N]; empty where its targets are hidden, as in test splits."""
    post = postprocessors.POSTPROCESSORS[split.postprocess]
    rows = [split.row(i) for i in range(len(split))]
    if all(map(postprocessors.hidden, rows)):
        return {}
    targets = [post(row["targets"], row, split.labels, True) for row in rows]
    return {name: value for metric in split.metrics for name, value in METRICS[metric](targets, answers, split.labels).items()}


def percent_invalid(answers: Sequence) -> float:
    """The share of answers [N] that are none of the task's."""
    return 100.0 * sum(map(postprocessors.invalid, answers)) / len(answers)


def majority(train: Prepared, split: Prepared) -> dict[str, float]:
    """The metrics of always giving the training split's commonest target."""
    answer, _ = Counter(train.row(i)["targets"] for i in range(len(train))).most_common(1)[0]
    return metrics_of(split, answers_of(split, [answer] * len(split)))


@dataclass(frozen=True)
class Scorer:
    """How a task's examples are turned into scores."""

    predictor: Predictor
    vocabulary: Vocabulary

    def __call__(
        self,
        params: Any,
        prompt_table: jax.Array | np.ndarray,
        layouts: Sequence[Callable[[np.ndarray], np.ndarray]],
        split: Prepared,
        protocols: Sequence[Protocol],
    ) -> dict[Protocol, list[Scores]]:
        """By protocol, the scores of each layout (a member of the bank, or the identity for no prompt) on a whole split."""
        texts = [self.predictor.lengths.input_ids(split.inputs(i)) for i in range(len(split))]
        inputs = [layout(ids) for layout in layouts for ids in texts]
        answers, n = self.answers(params, prompt_table, inputs, protocols, split.labels), len(split)
        return {
            protocol: [_scores(split, each[k * n : (k + 1) * n]) for k in range(len(layouts))]
            for protocol, each in answers.items()
        }

    def answers(
        self,
        params: Any,
        prompt_table: jax.Array | np.ndarray,
        inputs: Sequence[np.ndarray],
        protocols: Sequence[Protocol],
        labels: Sequence[str] | None,
        limits: Sequence[int] | None = None,
    ) -> dict[Protocol, list[Answer]]:
        """By protocol, the answer to each laid-out input, decoded for `limits[i]` tokens at most.

        UserError for ranking a task without labels.
        """
        if "rank" in protocols and not labels:
            raise UserError("rank classification needs a task with labels", "use the protocol greedy")
        ids = label_ids(self.vocabulary, labels) if labels and "rank" in protocols else None
        found = self.predictor(params, prompt_table, inputs, protocols, ids, limits)
        return {
            protocol: [_ranked(row, labels or ()) if protocol == "rank" else Answer(self.vocabulary.decode(row)) for row in rows]
            for protocol, rows in found.items()
        }


def _ranked(log_likelihoods: np.ndarray, labels: Sequence[str]) -> Answer:
    return Answer(labels[int(log_likelihoods.argmax())], dict(zip(labels, map(float, log_likelihoods), strict=True)))


def _scores(split: Prepared, given: Sequence[Answer]) -> Scores:
    answers = answers_of(split, [answer.text for answer in given])
    metrics = metrics_of(split, answers)
    rows = [split.row(i) for i in range(len(split))]
    predictions = [
        Prediction(i, row["inputs"], row["targets"], said.text, answer, said.scores)
        for i, (row, said, answer) in enumerate(zip(rows, given, answers, strict=True))
    ]
    score = float(np.mean([metrics[name] for name in split.headline])) if metrics else float("nan")
    return Scores(metrics, score, len(answers), percent_invalid(answers), predictions)
