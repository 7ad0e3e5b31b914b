"""Scores of a bank on a split: predict, post-process, compare. The same path serves training, `eval` and `infer`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import numpy as np

from ptune_cli.data.batches import Lengths
from ptune_cli.data.prepared import Prepared
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError, nearest
from ptune_cli.evaluation.predict import Predictor, label_ids
from tasks import postprocessors
from tasks.metrics import METRICS

Protocol = Literal["greedy", "beam", "rank"]


@dataclass(frozen=True)
class Prediction:
    """One scored example. `answer` is None where the text is not one of the task's labels."""

    index: int
    inputs: str
    target: str
    text: str
    answer: str | None
    scores: dict[str, float] | None = None  # log-likelihood of each label, for rank classification

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
    """How a task's examples are turned into scores. `protocol` is greedy decoding, T5X's beam search, or
    ranking the task's labels."""

    predictor: Predictor
    vocabulary: Vocabulary
    lengths: Lengths
    protocol: Protocol = "greedy"

    def __post_init__(self):
        if self.protocol not in get_args(Protocol):
            raise UserError(f"no protocol '{self.protocol}'; {nearest(self.protocol, get_args(Protocol))}")

    def __call__(
        self, params: Any, prompt_table: jax.Array, layouts: Sequence[Callable[[np.ndarray], np.ndarray]], split: Prepared
    ) -> list[Scores]:
        """The scores of each layout (a member of the bank, or the identity for no prompt) on all examples of a split."""
        texts = [self.lengths.input_ids(split.inputs(i)) for i in range(len(split))]
        inputs = [layout(ids) for layout in layouts for ids in texts]
        answers = self.answers(params, prompt_table, inputs, split.labels)
        n = len(split)
        return [self._scores(split, answers[k * n : (k + 1) * n]) for k in range(len(layouts))]

    def answers(
        self, params: Any, prompt_table: jax.Array, inputs: Sequence[np.ndarray], labels: Sequence[str] | None
    ) -> list[tuple[str, str | None, dict[str, float] | None]]:
        """(text, answer, scores of the labels) of each laid-out input."""
        if self.protocol == "rank":
            if not labels:
                raise UserError("rank classification needs a task with labels", "use the protocol greedy")
            found = self.predictor.rank(params, prompt_table, inputs, label_ids(self.vocabulary, labels))
            best = [labels[int(i)] for i in found.argmax(axis=1)]
            each = [dict(zip(labels, map(float, row), strict=True)) for row in found]
            return [(text, text, scores) for text, scores in zip(best, each, strict=True)]
        decode = self.predictor.greedy if self.protocol == "greedy" else self.predictor.beam
        ids = decode(params, prompt_table, inputs)
        return [(text := self.vocabulary.decode(row), postprocessors.label(text, labels), None) for row in ids]

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
