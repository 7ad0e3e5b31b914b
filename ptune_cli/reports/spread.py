"""Scores of several seeds as one number and how far they lie apart."""

import statistics
from collections.abc import Sequence


def mean(scores: Sequence[float]) -> float:
    """The mean of one score or more."""
    return statistics.fmean(scores)


def std(scores: Sequence[float]) -> float | None:
    """The sample standard deviation; None for one score."""
    return statistics.stdev(scores) if len(scores) > 1 else None


def text(scores: Sequence[float]) -> str:
    """Mean±std in tenths; of one score the score, of none nothing."""
    if not scores:
        return ""
    spread = std(scores)
    return f"{mean(scores):.1f}" + ("" if spread is None else f"±{spread:.1f}")
