"""What the rows of a trained prompt are close to: pieces of the vocabulary, labels, the rows of other prompts.

Lester et al. 2021, section 7: nearness is cosine similarity to the frozen embeddings. NumPy alone; a vector of zeros has
similarity 0 to everything.
"""

from collections.abc import Sequence

import numpy as np

# Similarities that differ by less are the same number, rounded another way.
ROUNDING = 1e-5


def directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors [N, D] of any float type at length 1, float32."""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.finfo(np.float32).tiny)


def cosines(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The cosine similarity [P, N] of each of `rows` [P, D] to each of `others` [N, D]."""
    return directions(rows) @ directions(others).T


def nearest(similarities: np.ndarray, k: int) -> np.ndarray:
    """The k columns [P, k] of similarities [P, N] that are largest in each row, the largest first, of equals the first.

    The columns are the candidates: rows of the embedding table behind the vocabulary's last piece are to be left out before.
    """
    k = min(k, similarities.shape[1])
    top = np.sort(np.argpartition(-similarities, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(similarities, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)


def ranks(similarities: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The rank [P, L] that candidates of similarities `own` [P, L] have among those of [P, N]: 1 is nearest.

    A candidate that is one of the N has the rank it has there.
    """
    return np.stack([1 + (similarities > one[:, None] + ROUNDING).sum(axis=1) for one in own.T], axis=1)


def row_by_row(prompts: Sequence[np.ndarray]) -> np.ndarray:
    """[N, N]: the mean similarity of row i to row i of two prompts [P, D]; of different lengths, over the rows of the shorter."""
    units = [directions(prompt) for prompt in prompts]
    return _pairs(units, lambda a, b: float((a[: len(b)] * b[: len(a)]).sum(axis=1).mean()))


def best_match(prompts: Sequence[np.ndarray]) -> np.ndarray:
    """[N, N]: the mean similarity of each row to the most similar row of the other prompt, over the rows of both.

    1 where two prompts have the same rows in any order. It has a floor: of many random rows, one is always somewhat similar.
    """

    def match(a: np.ndarray, b: np.ndarray) -> float:
        similarities = a @ b.T
        return float(similarities.max(axis=1).mean() + similarities.max(axis=0).mean()) / 2

    return _pairs([directions(prompt) for prompt in prompts], match)


def _pairs(units: Sequence[np.ndarray], compare) -> np.ndarray:
    return np.array([[compare(a, b) for b in units] for a in units])


def project(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two principal components [N, 2] of the vectors' [N, D] directions, and the share [2] of the variance in each.

    Directions, since that is what similarity compares: a prompt's rows are often several times as long as embeddings.
    """
    units = directions(vectors)
    centred = units - units.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    # An axis has no sign of its own; its largest component is made positive, so that a picture can be drawn again.
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1))
    return centred @ axes.T, sizes[:2] ** 2 / max(float((sizes**2).sum()), np.finfo(np.float32).tiny)
