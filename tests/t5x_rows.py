"""The rows of t5x_task.py, for tests that import no seqio."""

import numpy as np

SIZES = {"train": 12, "validation": 8}


def rows(split: str) -> list[dict[str, np.ndarray]]:
    """Inputs of 2 to 11 tokens and targets of 1 to 3, without EOS."""
    draw = np.random.default_rng(len(split))
    return [
        {"inputs": draw.integers(3, 128, draw.integers(2, 12)), "targets": draw.integers(3, 128, draw.integers(1, 4))}
        for _ in range(SIZES[split])
    ]
