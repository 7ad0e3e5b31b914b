"""Scores of a bank on a split: predict, post-process, compare. The same path serves training, `eval` and `infer`."""

from collections.abc import Callable, Mapping, Sequence
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
    """What a prompted model says. `answer` is None where the text is not one of the task's labels."""

    text: str
    answer: str | None
    scores: dict[str, float] | None = None  # log-likelihood of each label, for rank classification


@dataclass(frozen=True)
class Prediction:
    """One scored example: what was asked, and the fields of its `Answer`."""

    index: int
    inputs: str
    target: str
    text: str
    answer: str | None
    scores: dict[str, float] | None

    def row(self) -> dict:
        """The example as a line of predictions.jsonl."""
        row = {"index": self.index, "inputs": self.inputs, "target": self.target, "text": self.text, "answer": self.answer}
        return row if self.scores is None else {**row, "scores": self.scores}


@dataclass(frozen=True)
class Scores:
    """A split's metrics in percent, with how many examples they are of and what share of outputs was no valid answer."""

    metrics: dict[str, float]
    n: int
    invalid: float
    predictions: list[Prediction]

    def flat(self) -> dict[str, float]:
        return {**self.metrics, "n": self.n, "invalid": self.invalid}


@dataclass(frozen=True)
class Scorer:
    """How a task's examples are turned into scores."""

    predictor: Predictor
    vocabulary: Vocabulary

    def __call__(
        self,
        params: Any,
        prompt_table: jax.Array,
        layouts: Sequence[Callable[[np.ndarray], np.ndarray]],
        split: Prepared,
        protocols: Sequence[Protocol],
    ) -> dict[Protocol, list[Scores]]:
        """By protocol, the scores of each layout (a member of the bank, or the identity for no prompt) on a whole split."""
        texts = [self.predictor.lengths.input_ids(split.inputs(i)) for i in range(len(split))]
        inputs = [layout(ids) for layout in layouts for ids in texts]
        answers, n = self.answers(params, prompt_table, inputs, protocols, split.labels), len(split)
        return {
            protocol: [self._scores(split, each[k * n : (k + 1) * n]) for k in range(len(layouts))]
            for protocol, each in answers.items()
        }

    def answers(
        self,
        params: Any,
        prompt_table: jax.Array,
        inputs: Sequence[np.ndarray],
        protocols: Sequence[Protocol],
        labels: Sequence[str] | None,
    ) -> dict[Protocol, list[Answer]]:
        """By protocol, the answer to each laid-out input. UserError for ranking a task without labels."""
        if "rank" in protocols and not labels:
            raise UserError("rank classification needs a task with labels", "use the protocol greedy")
        ids = label_ids(self.vocabulary, labels) if labels and "rank" in protocols else None
        found = self.predictor(params, prompt_table, inputs, protocols, ids)
        return {
            protocol: [self._ranked(row, labels or ()) if protocol == "rank" else self._decoded(row, labels) for row in rows]
            for protocol, rows in found.items()
        }

    def _decoded(self, ids: np.ndarray, labels: Sequence[str] | None) -> Answer:
        text = self.vocabulary.decode(ids)
        return Answer(text, postprocessors.label(text, labels))

    def _ranked(self, log_likelihoods: np.ndarray, labels: Sequence[str]) -> Answer:
        best = labels[int(log_likelihoods.argmax())]
        return Answer(best, best, dict(zip(labels, map(float, log_likelihoods), strict=True)))

    def _scores(self, split: Prepared, answers) -> Scores:
        rows = [split.row(i) for i in range(len(split))]
        predictions = [
            Prediction(i, row["inputs"], row["targets"], *answer)
            for i, (row, answer) in enumerate(zip(rows, answers, strict=True))
        ]
        targets, given = [p.target for p in predictions], [p.answer for p in predictions]
        metrics: Mapping[str, float] = {}
        for name in split.metrics:
            metrics = {**metrics, **METRICS[name](targets, given)}
        invalid = 100.0 * sum(answer is None for answer in given) / len(given)
        return Scores(dict(metrics), len(given), invalid, predictions)
