"""How far word counts alone get on the demo tasks: the numbers that a prompt has to beat.

Rows are tuples of an id, one or two texts and a label; scores are test accuracies between 0 and 1.
"""

import collections
import re
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Row = tuple[str, ...]


def majority(rows: Sequence[Row]) -> float:
    """Of always answering the commonest label."""
    return max(collections.Counter(row[-1] for row in rows).values()) / len(rows)


def word_counts(train: Sequence[Row], *tests: Sequence[Row]) -> list[float]:
    """Of logistic regression on TF-IDF of words and word pairs, on each of the tests. Two texts are read as one."""
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(vectors, LogisticRegression(C=10.0, max_iter=1000)).fit(_joined(train), _labels(train))
    return [float(model.score(_joined(rows), _labels(rows))) for rows in tests]


def resemblance(train: Sequence[Row], test: Sequence[Row]) -> float:
    """Of logistic regression on how alike two texts are: a classifier of pairs must compare them."""
    vectors = TfidfVectorizer(sublinear_tf=True).fit([text for row in train for text in row[1:3]])
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(_alike(vectors, train), _labels(train))
    return float(model.score(_alike(vectors, test), _labels(test)))


def _alike(vectors: TfidfVectorizer, rows: Sequence[Row]) -> np.ndarray:
    """[rows, 3]: cosine of the TF-IDF vectors, shared words among all words, shorter length by longer length."""
    _, first, second, _ = zip(*rows, strict=True)
    cosine = np.asarray(vectors.transform(first).multiply(vectors.transform(second)).sum(axis=1)).ravel()
    lengths = [min(len(a), len(b)) / max(len(a), len(b)) for a, b in zip(first, second, strict=True)]
    return np.stack([cosine, list(map(_overlap, first, second)), lengths], axis=1)


def _overlap(first: str, second: str) -> float:
    a, b = (set(re.findall(r"[a-z0-9]+", text.lower())) for text in (first, second))
    return len(a & b) / len(a | b)


def _joined(rows: Sequence[Row]) -> list[str]:
    return [" ".join(row[1:-1]) for row in rows]


def _labels(rows: Sequence[Row]) -> list[str]:
    return [row[-1] for row in rows]
