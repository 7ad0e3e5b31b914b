"""Random rows as long as those of the SuperGLUE tasks, in one file that workers of any environment read (NumPy alone)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Mean tokens of an input. The tasks' lengths spread about as a log-normal distribution of SIGMA does.
TASKS = {"copa": 30, "wic": 50, "wsc": 50, "rte": 75, "cb": 90, "boolq": 150, "record": 270, "multirc": 330}
SIGMA = 0.5
LONGEST = 512  # tokens of an input, EOS included: longer ones are cut
TARGETS = (2, 4)  # the fewest and the most tokens of a target, EOS included
EOS = 1
FIRST = 3  # of the vocabulary's ids: those before are padding, EOS and unknown


def write(file: Path, tasks: Sequence[str], members: int, count: int, vocabulary: int, prompt: tuple[int, int]) -> None:
    """`count` rows of each task for each of `members` prompts, and the prompt [P, D] that all of them start as."""
    draw, arrays = np.random.default_rng(0), {}
    for task in tasks:
        lengths = draw.lognormal(np.log(TASKS[task]) - SIGMA**2 / 2, SIGMA, (members, count)).round().astype(int)
        arrays[f"{task}.inputs"] = _padded(draw, lengths.clip(2, LONGEST), LONGEST, vocabulary)
        lengths = draw.integers(TARGETS[0], TARGETS[1] + 1, (members, count))
        arrays[f"{task}.targets"] = _padded(draw, lengths, TARGETS[1], vocabulary)
    np.savez(file, prompt=draw.normal(size=prompt).astype(np.float32), **arrays)


def _padded(draw: np.random.Generator, lengths: np.ndarray, width: int, vocabulary: int) -> np.ndarray:
    """Random ids [..., width] int32 of these lengths [...], EOS at their ends, zeros behind."""
    ids, place = draw.integers(FIRST, vocabulary, (*lengths.shape, width), np.int32), np.arange(width)
    return np.where(place < lengths[..., None] - 1, ids, np.where(place == lengths[..., None] - 1, EOS, 0)).astype(np.int32)


class Rows:
    """What `write` wrote."""

    def __init__(self, file: str | Path, batch: int):
        with np.load(file) as arrays:
            self._arrays = dict(arrays)
        self._batch = batch
        self.prompt: np.ndarray = self._arrays["prompt"]  # [P, D] float32
        self.tasks = [name.removesuffix(".inputs") for name in self._arrays if name.endswith(".inputs")]

    def of(self, task: str, member: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """All inputs [N, LONGEST] and targets [N, 4], int32 with EOS, zeros behind."""
        return self._arrays[f"{task}.inputs"][member], self._arrays[f"{task}.targets"][member]

    def batch(self, task: str, step: int, to_longest: bool, member: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """A member's inputs [B, T] and targets [B, 4] of a step; T is LONGEST, or the batch's own longest."""
        inputs, targets = (ids[step * self._batch : (step + 1) * self._batch] for ids in self.of(task, member))
        return inputs[:, : lengths(inputs).max()] if to_longest else inputs, targets


def lengths(ids: np.ndarray) -> np.ndarray:
    """Tokens of each row [N] of ids [N, T]."""
    return np.count_nonzero(ids, axis=1)
