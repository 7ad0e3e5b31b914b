"""The metrics, without TensorFlow: lists of targets and predictions -> {name: percent}.

A prediction is None where the model's text was no valid answer; it never equals a target.
"""

from collections.abc import Callable, Sequence


def accuracy(targets: Sequence, predictions: Sequence) -> dict[str, float]:
    """The share of predictions that equal their target."""
    _check(targets, predictions)
    correct = sum(target == prediction for target, prediction in zip(targets, predictions, strict=True))
    return {"accuracy": 100.0 * correct / len(targets)}


def f1_macro(targets: Sequence, predictions: Sequence) -> dict[str, float]:
    """The unweighted mean, over the classes among the targets, of F1 = 2 TP / (2 TP + FP + FN).

    An invalid prediction, or one of a class that no target has, is a miss of its target's class and a class of its own that
    is not averaged.
    """
    from sklearn.metrics import f1_score  # scikit-learn takes a second to import, and accuracy needs none of it

    _check(targets, predictions)
    classes = {name: index for index, name in enumerate(sorted(set(targets)))}
    found = [classes.get(prediction, -1) for prediction in predictions]
    score = f1_score([classes[t] for t in targets], found, labels=range(len(classes)), average="macro")
    return {"f1_macro": 100.0 * float(score)}


METRICS: dict[str, Callable[[Sequence, Sequence], dict[str, float]]] = {"accuracy": accuracy, "f1_macro": f1_macro}


def _check(targets: Sequence, predictions: Sequence) -> None:
    if not targets or len(targets) != len(predictions):
        raise ValueError(f"{len(predictions)} predictions for {len(targets)} targets")
