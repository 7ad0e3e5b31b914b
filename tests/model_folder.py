"""A tiny T5 with random weights as a Hugging Face folder, and the command lines of a run on it."""

import shutil
from pathlib import Path

import tiny

from ptune_cli.base_model import flat_parameters
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.formats import huggingface_writing
from ptune_cli.t5.config import T5Config

VOCABULARY = Path(__file__).parent / "data" / "tiny.spiece.model"
TASK = "kinds:kinds"
# Steps enough to be caught in the middle; `train` takes them as its flags.
LONG = ("--steps", "300", "--every.evaluate", "150", "--every.before_training", "false", "--every.save", "20", "--every.log", "5")
LABELS = ("dog", "people", "plant")  # sorted, as a prepared split lists them


def write(folder: Path, seed: int = 1, **sizes) -> Path:
    """As `save_pretrained` would, with the vocabulary."""
    huggingface_writing.write(folder, config(**sizes), flat_parameters(tiny.weights(config(**sizes), seed)))
    shutil.copy(VOCABULARY, folder / "spiece.model")
    return folder


def config(**sizes) -> T5Config:
    """One layer in each stack (compiling is what these tests spend their time on), and embeddings to spare, as T5's."""
    rows = -(-Vocabulary(VOCABULARY).size // 64) * 64
    return tiny.config(**{"vocab_size": rows, "num_encoder_layers": 1, "num_decoder_layers": 1, "dropout_rate": 0.1, **sizes})


def train(model: Path, output: Path, *flags: str) -> list[str]:
    """A run of 10 steps that evaluates at 0, 4, 8, 10 and saves at 0, 3, 4, 6, 8, 9, 10. A later flag wins."""
    return [
        *("train", "--model.checkpoint", str(model), "--tasks", TASK, "--output", str(output)),
        *("--steps", "10", "--batch_size", "4", "--prompt.length", "5", "--input_length", "48", "--positions", "512"),
        *("--every.evaluate", "4", "--every.before_training", "true", "--every.save", "3", "--every.log", "2", *flags),
    ]
