"""The base model of a run: where the frozen weights, their sizes and their vocabulary come from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ptune_cli.data.prepared import default_cache
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError, nearest, nearest_path
from ptune_cli.formats import huggingface, t5x, vocabulary_file
from ptune_cli.formats.atomic import write_atomically
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.model import T5

ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Frozen:
    """A loaded base model. Nothing trains `params` ([nested dict of arrays, T5X names]) unless the run tunes the model."""

    name: str
    config: T5Config
    params: Any
    vocabulary: Vocabulary
    fingerprint: str

    @property
    def model(self) -> T5:
        return T5(self.config)

    @property
    def embeddings(self):
        """The token embeddings [V, D], as stored."""
        return self.params["token_embedder"]["embedding"]


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """Which checkpoint to load, and how.

    `checkpoint` is the name of a model that ships with ptune ("tiny"), a Hugging Face T5 folder, or a T5X checkpoint
    (local or gs://), which needs `config` and `vocabulary` beside it. `weights_dtype` is what the frozen weights are kept
    in, `dtype` what activations are computed in.
    """

    checkpoint: str
    config: T5Config | None = None  # needed for T5X checkpoints, which do not say
    vocabulary: str | None = None  # a SentencePiece model's file or folder, or gs://; default: the checkpoint's own
    weights_dtype: str = "float32"
    dtype: str = "float32"
    dropout_rate: float = 0.1  # in training

    def as_json(self) -> dict:
        """What a prompt file remembers of its base model; `from_json` takes it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "BaseModel":
        """The base model that a prompt was trained on."""
        config = saved["config"]
        if config is not None:
            config = T5Config(**{**config, "mlp_activations": tuple(config["mlp_activations"])})
        return cls(**{**saved, "config": config})

    def folder(self) -> str:
        """The checkpoint's path; UserError with the nearest name if there is neither a shipped model nor a path."""
        if (ASSETS / self.checkpoint / "config.json").is_file() and "/" not in self.checkpoint:
            return str(ASSETS / self.checkpoint)
        if self.checkpoint.startswith("gs://") or Path(self.checkpoint).expanduser().exists():
            return str(Path(self.checkpoint).expanduser()) if "://" not in self.checkpoint else self.checkpoint
        raise UserError(
            f"no model '{self.checkpoint}': neither a shipped model nor a path",
            nearest_path(self.checkpoint) if "/" in self.checkpoint else nearest(self.checkpoint, shipped()),
        )

    def load_vocabulary(self) -> Vocabulary:
        """The vocabulary alone, for preparing data before any weight is read."""
        folder = self.folder()
        own = vocabulary_file.T5 if folder.startswith("gs://") else folder  # T5X checkpoints have none beside them
        return Vocabulary(vocabulary_file.find(self.vocabulary or own, default_cache()))

    def sizes(self) -> T5Config:
        """The architecture, without reading any weight."""
        folder = self.folder()
        found = huggingface.read_config(Path(folder) / huggingface.CONFIG) if huggingface.is_huggingface(folder) else self.config
        if found is None:
            raise UserError(f"{folder} is not a Hugging Face folder, and no T5 sizes were given", "include a gin/models file")
        return replace(found, dtype=self.dtype, dropout_rate=self.dropout_rate)

    def load(self) -> Frozen:
        """Read vocabulary and weights. UserError for whatever is missing, of another shape, or damaged."""
        folder, config, vocabulary = self.folder(), self.sizes(), self.load_vocabulary()
        if vocabulary.size > config.vocab_size:
            raise UserError(
                f"the vocabulary {vocabulary.path} has {vocabulary.size} ids, the model only {config.vocab_size} embeddings",
                "give the vocabulary that the checkpoint was trained with",
            )
        if huggingface.is_huggingface(folder):
            _, flat = huggingface.read(folder, self.weights_dtype)
        else:
            flat = t5x.read(folder, config, self.weights_dtype)
        mark = fingerprint(flat)
        params = nested({name: jnp.asarray(array) for name, array in flat.items()})
        return Frozen(self.checkpoint, config, params, vocabulary, mark)


def shipped() -> list[str]:
    """The names of the models inside the package."""
    return sorted(path.parent.name for path in ASSETS.glob("*/config.json"))


def save(folder: Path, config: T5Config, params: Mapping, vocabulary: Vocabulary, dtype: str = "float32") -> None:
    """Write a model as a Hugging Face folder, with its vocabulary beside it. UserError where that cannot be done."""
    huggingface.write(folder, config, {name: array.astype(dtype) for name, array in flat_parameters(params).items()})
    write_atomically(folder / vocabulary_file.NAMES[0], vocabulary.path.read_bytes())


def nested(flat: Mapping[str, Any]) -> dict:
    """{"encoder/layers_0/...": leaf} as a nested tree."""
    return unflatten_dict(dict(flat), sep="/")


def flat_parameters(params: Mapping) -> dict[str, np.ndarray]:
    """A nested tree as {"encoder/layers_0/...": array}."""
    return {name: np.asarray(array) for name, array in flatten_dict(params, sep="/").items()}


def fingerprint(flat: Mapping[str, np.ndarray]) -> str:
    """A sha256 that says which weights a prompt belongs to: the same for every file format and for float32 and bfloat16.

    It covers names, shapes and up to 8,191 values of each array, rounded to bfloat16 and evenly spread: reading all of
    XXL's 44 GB would take a minute, and two models that agree in all these do not differ.
    """
    digest = hashlib.sha256()
    for name in sorted(flat):
        array = np.asarray(flat[name])
        values = array.reshape(-1)[:: max(array.size // 4096, 1)].astype(np.float32).astype(ml_dtypes.bfloat16)
        digest.update(json.dumps([name, list(array.shape)]).encode())
        digest.update(values.view(np.uint16).astype("<u2").tobytes())
    return digest.hexdigest()
