"""One answer from several prompts' (Lester et al. 2021, section 6): the most common one, or the most likely on average."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.postprocessors import invalid


def majority_vote(answers: Sequence[Sequence[Any]]) -> list[Any]:
    """For answers [K][N] of K prompts, the most common answer [N] to each example.

    An invalid answer has no vote unless all are invalid; of equally common answers the one of the earlier prompt wins.
    """
    return [_most_common(votes) for votes in zip(*answers, strict=True)]


def mean_log_likelihood(scores: Sequence[Sequence[Mapping[str, float]]]) -> list[str]:
    """For log-likelihoods [K][N] of labels, the label [N] whose mean over the K prompts is highest."""
    chosen = []
    for votes in zip(*scores, strict=True):
        means = {label: float(np.mean([vote[label] for vote in votes])) for label in votes[0]}
        chosen.append(max(means, key=means.__getitem__))
    return chosen


def _most_common(votes: Sequence[Any]) -> Any:
    valid = [vote for vote in votes if not invalid(vote)] or list(votes)
    # An answer may be a list or a mapping, which cannot be counted as they are.
    keys = [json.dumps(vote, sort_keys=True) for vote in valid]
    winner, _ = Counter(keys).most_common(1)[0]  # of equals, the first that was met
    return valid[keys.index(winner)]
