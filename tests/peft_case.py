"""Two tiny T5s with random weights, inputs for them, and what our code makes of a prompt: to be compared with PEFT's."""

import functools
from pathlib import Path

import model_folder
import numpy as np
import tiny

from ptune_cli.data.batch import pad
from ptune_cli.data.examples import Lengths
from ptune_cli.data.microbatches import COSTS
from ptune_cli.evaluation.predict import Predictor
from ptune_cli.t5.model import T5

SIZES = {"t5_1_1": {"vocab_size": 64}, "t5_1_0": {"vocab_size": 64, "mlp_activations": ("relu",), "logits_via_embedding": True}}
SEEDS = {"t5_1_1": 1, "t5_1_0": 19}  # of weights with which the answers depend on the prompt
PROMPT_LENGTH, ANSWER = 5, 8  # rows; tokens decoded at most
_RNG = np.random.default_rng(3)
# Of four lengths, which our decoding pads to one: each length of its own would be compiled for itself.
INPUTS = [np.append(_RNG.integers(3, 64, n), 1).astype(np.int32) for n in (12, 11, 14, 13)]  # ids with EOS
LABELS = [np.append(_RNG.integers(3, 64, n), 1).astype(np.int32) for n in (5, 2, 1, 3)]


def write(name: str, folder: Path) -> Path:
    """The model as a Hugging Face folder."""
    return model_folder.write(folder, SEEDS[name], **SIZES[name])


def generated(name: str, prompt: np.ndarray) -> list[list[int]]:
    """What our greedy decoding answers to the inputs, with the prompt [P, D] in front of each: ids, to EOS."""
    found = _predictor(name)(_weights(name), prompt, _laid_out(prompt), ["greedy"])["greedy"]
    return [cut(row) for row in found.tolist()]


def cut(ids: list[int]) -> list[int]:
    """Decoded ids to EOS."""
    return ids[: ids.index(1) + 1] if 1 in ids else ids


def log_likelihoods(name: str, prompt: np.ndarray) -> np.ndarray:
    """What our ranking gives each input's own label: its summed log-probability [B]."""
    labels = pad(LABELS, max(map(len, LABELS)))
    return np.diag(_predictor(name)(_weights(name), prompt, _laid_out(prompt), ["rank"], labels)["rank"])


def _weights(name: str) -> dict:
    return tiny.weights(model_folder.config(**SIZES[name]), SEEDS[name])


def _laid_out(prompt: np.ndarray) -> list[np.ndarray]:
    return [np.concatenate([-1 - np.arange(len(prompt)), ids]) for ids in INPUTS]


@functools.cache  # compiling is what these tests spend their time on
def _predictor(name: str) -> Predictor:
    return Predictor(T5(model_folder.config(**SIZES[name])), COSTS["cpu"], Lengths(32, ANSWER))
