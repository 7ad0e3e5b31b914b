"""Prompt design, the paper's baseline without any training: solved examples in words, in front of the question."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ptune_cli.data.examples import Examples
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError


class Around(NamedTuple):
    """Token ids that stand before an input and behind it; int32, of any length."""

    before: np.ndarray
    behind: np.ndarray

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """The layout of an input's ids [T], of which the last is EOS."""
        return np.concatenate([self.before, ids[:-1], self.behind, ids[-1:]])

    @property
    def length(self) -> int:
        return len(self.before) + len(self.behind)


@dataclass(frozen=True, kw_only=True)
class Design:
    """GPT-3's in-context learning (Brown et al. 2020), read by T5's encoder: `shots` solved examples, then the input.

    An example is its input, the cue, its target and the separator; the input that is asked about ends in the cue.
    """

    shots: int = 6
    cue: str = "answer:"
    separator: str = ";"

    def __post_init__(self):
        if self.shots < 0:
            raise UserError(f"shots is {self.shots}, expected 0 or more")

    def around(self, examples: Examples, vocabulary: Vocabulary, input_length: int, seed: int) -> Around:
        """What stands around every input. The examples' own inputs are cut to `input_length` tokens, EOS included, as all are.

        UserError if there are fewer examples than `shots`, or the vocabulary cannot spell the cue or the separator.
        """
        cue, separator = _spelled(self.cue, vocabulary), _spelled(self.separator if self.shots else "", vocabulary)
        solved = [
            np.concatenate([examples.inputs(i)[: input_length - 1], cue, examples.targets(i), separator])
            for i in chosen(examples, self.shots, seed)
        ]
        return Around(np.concatenate([*solved, np.zeros(0)]).astype(np.int32), cue)


def _spelled(text: str, vocabulary: Vocabulary) -> np.ndarray:
    ids = np.array(vocabulary.encode(text), np.int32)
    if vocabulary.unk_id in ids:
        raise UserError(f"the vocabulary {vocabulary.path} cannot spell '{text}'", "give another --design.cue or separator")
    return ids


def chosen(examples: Examples, shots: int, seed: int) -> list[int]:
    """Indices of the examples that are shown, in their order: at random, but no target more often than another while it can be.

    UserError if there are fewer examples than `shots`.
    """
    if shots > len(examples):
        raise UserError(f"{shots} shots were asked for, and there are {len(examples)} training examples")
    rng = np.random.default_rng(seed)
    shuffled = [int(i) for i in rng.permutation(len(examples))]
    times: dict[bytes, int] = {}  # how often each target came before
    turns = []
    for i in shuffled:
        target = examples.targets(i).tobytes()
        turns.append(times.get(target, 0))
        times[target] = turns[-1] + 1
    first = sorted(range(len(shuffled)), key=lambda at: (turns[at], at))[:shots]
    return [shuffled[first[i]] for i in rng.permutation(shots)]
