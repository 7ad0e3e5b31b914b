"""The metrics, without TensorFlow: lists of targets and predictions -> {name: percent}.

Both are answers of `tasks.postprocessors`. A prediction is None where the model's text was no valid answer; it never equals a
target. Every metric raises ValueError for no target, or another number of predictions. Definitions: Wang et al. 2018 (GLUE),
Wang et al. 2019 (SuperGLUE), Rajpurkar et al. 2016 (SQuAD); the treatment of invalid answers is that of T5 (Raffel et al. 2020).
"""

import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from tasks.postprocessors import bare

Metric = Callable[..., dict[str, float]]
"""(targets, predictions, labels=None) -> {name: percent}. scikit-learn and SciPy take a second to import, so only calls do."""

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def accuracy(targets: Sequence, predictions: Sequence, labels: Sequence[str] | None = None) -> dict[str, float]:
    """The share of predictions that equal their target."""
    _check(targets, predictions)
    return {"accuracy": _percent([target == prediction for target, prediction in zip(targets, predictions, strict=True)])}


def f1(targets: Sequence, predictions: Sequence, labels: Sequence[str] | None = None) -> dict[str, float]:
    """F1 of the second label; an invalid prediction counts as the label that its target is not.

    Raises:
        ValueError: `labels` are not two.
    """
    _check(targets, predictions)
    if labels is None or len(labels) != 2:
        raise ValueError(f"f1 is of two labels, not of {labels}")
    return {"f1": _binary_f1(targets, predictions, labels[1])}


def f1_macro(targets: Sequence, predictions: Sequence, labels: Sequence[str] | None = None) -> dict[str, float]:
    """The unweighted mean, over `labels` (bare) or else the targets' classes, of F1 = 2 TP / (2 TP + FP + FN).

    An invalid prediction, or one of a class that is not averaged, is a miss of its target's class and no more. A class that
    neither targets nor predictions have is 0.
    """
    _check(targets, predictions)
    classes = [bare(label) for label in labels or ()] or sorted(set(targets))
    each = [_f1([t == name for t in targets], [p == name for p in predictions]) for name in classes]
    return {"f1_macro": sum(each) / len(each)}


def matthews(targets: Sequence, predictions: Sequence, labels: Sequence[str] | None = None) -> dict[str, float]:
    """Matthews' correlation; invalid predictions are a class of their own. 0 if either side has one class only."""
    from sklearn.metrics import matthews_corrcoef

    _check(targets, predictions)
    names = [[answer or "" for answer in answers] for answers in (targets, predictions)]
    return {"matthews": 100.0 * float(matthews_corrcoef(*names))}


def pearson_spearman(targets: Sequence, predictions: Sequence, labels: Sequence[str] | None = None) -> dict[str, float]:
    """Correlation of the numbers, and of their ranks. An invalid prediction is -1; where all are equal, both are 0."""
    import numpy as np
    from scipy.stats import rankdata

    _check(targets, predictions)
    numbers = [-1.0 if prediction is None else prediction for prediction in predictions]
    if len(set(numbers)) == 1 or len(set(targets)) == 1:
        return {"pearson": 0.0, "spearman": 0.0}
    pearson, spearman = np.corrcoef(targets, numbers), np.corrcoef(rankdata(targets), rankdata(numbers))
    return {"pearson": 100.0 * float(pearson[0, 1]), "spearman": 100.0 * float(spearman[0, 1])}


def multirc(targets: Sequence, predictions: Sequence, labels: Sequence[str] | None = None) -> dict[str, float]:
    """`f1a`: F1 of "True" over all answers. `em`: the share of questions (groups) all of whose answers are judged rightly."""
    _check(targets, predictions)
    right, found = ([answer["value"] for answer in answers] for answers in (targets, predictions))
    questions = defaultdict(list)
    for target, value, prediction in zip(targets, right, found, strict=True):
        questions[target["group"]].append(value == prediction)
    return {"f1a": _binary_f1(right, found, "True"), "em": _percent([all(question) for question in questions.values()])}


def squad(targets: Sequence, predictions: Sequence, labels: Sequence[str] | None = None) -> dict[str, float]:
    """`em` and F1 of words, each the best over a question's right answers (0 without one), averaged over the questions.

    Compared in lower case, without punctuation, articles and superfluous white space.
    """
    _check(targets, predictions)
    exact, overlap = [], []
    for answers, prediction in zip(targets, predictions, strict=True):
        found, golds = _words(prediction), [_words(answer) for answer in answers]
        exact.append(found in golds)
        overlap.append(max((_word_f1(gold, found) for gold in golds), default=0.0))
    return {"em": _percent(exact), "f1": _percent(overlap)}


def record(targets: Sequence, predictions: Sequence, labels: Sequence[str] | None = None) -> dict[str, float]:
    """`squad` over the first row of each group: a query's rows differ only in which of its answers is the target."""
    _check(targets, predictions)
    first: dict[str, tuple[Mapping, str]] = {}
    for target, prediction in zip(targets, predictions, strict=True):
        first.setdefault(target["group"], (target, prediction))
    return squad([target["answers"] for target, _ in first.values()], [prediction for _, prediction in first.values()])


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "f1": f1,
    "f1_macro": f1_macro,
    "matthews": matthews,
    "pearson_spearman": pearson_spearman,
    "multirc": multirc,
    "squad": squad,
    "record": record,
    "referent": accuracy,
}


def _check(targets: Sequence, predictions: Sequence) -> None:
    if not targets or len(targets) != len(predictions):
        raise ValueError(f"{len(predictions)} predictions for {len(targets)} targets")


def _percent(values: Sequence[float]) -> float:
    return 100.0 * sum(values) / len(values)


def _binary_f1(targets: Sequence, predictions: Sequence, positive: str) -> float:
    """F1 of the positive class, in percent; None counts as the class that its target is not."""
    right = [target == positive for target in targets]
    return _f1(right, [not is_in if p is None else p == positive for is_in, p in zip(right, predictions, strict=True)])


def _f1(right: Sequence[bool], found: Sequence[bool]) -> float:
    """2 TP / (2 TP + FP + FN) in percent; 0 without a true positive."""
    hits = sum(a and b for a, b in zip(right, found, strict=True))
    return 200.0 * hits / (sum(right) + sum(found)) if hits else 0.0


def _words(text: str) -> list[str]:
    return re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split()


def _word_f1(gold: list[str], found: list[str]) -> float:
    """0 if they share no word, both empty included."""
    shared = (Counter(gold) & Counter(found)).total()
    return 2 * shared / (len(gold) + len(found)) if shared else 0.0
