"""The base model of a run: where the frozen weights, their sizes and their vocabulary come from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ptune_cli.agreement import first
from ptune_cli.data import vocabularies
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.formats import checkpoint, hub, huggingface_writing, vocabulary_file
from ptune_cli.t5.config import T5Config, parameter_count, parameter_shapes
from ptune_cli.t5.fingerprint import Samples
from ptune_cli.t5.model import T5
from ptune_cli.t5.sharding import Placement, Read, fetch, of_every_process


@dataclass(frozen=True)
class Frozen:
    """A loaded base model. Nothing trains `params` ([nested dict of arrays, T5X names]) unless the run tunes the model."""

    name: str
    config: T5Config
    params: Any
    vocabulary: Vocabulary
    fingerprint: str
    placement: Placement

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

    `checkpoint` is the name of a model that ships with ptune ("tiny"), a Hugging Face T5 folder, a model on the Hugging Face
    Hub (hf://ORG/NAME or hf://ORG/NAME@REVISION), or a T5X checkpoint (local or gs://), which needs `config` and `vocabulary`
    beside it. `weights_dtype` is what the frozen weights are kept in, `dtype` what activations are computed in, `operands` what
    both are rounded to for their products: bfloat16 beside float32 activations is as fast as the processor multiplies bfloat16,
    and sums in float32.
    """

    checkpoint: str
    config: T5Config | None = None  # needed for T5X checkpoints, which do not say
    vocabulary: str | None = None  # its file or folder, gs://, or "bytes", ByT5's; default: the checkpoint's own
    weights_dtype: str = "float32"
    dtype: str = "float32"
    operands: Literal["bfloat16"] | None = None  # default: dtype
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

    def folder(self, weights: bool = False) -> str:
        """The checkpoint's path, with its weights where those are asked for of a model on the Hub, or without.

        UserError with the nearest name if there is no such model.
        """
        return hub.locate(self.checkpoint, weights)

    def load_vocabulary(self) -> Vocabulary:
        """The vocabulary alone, for preparing data before any weight is read."""
        folder = self.folder()
        own = vocabulary_file.T5 if folder.startswith("gs://") else folder  # T5X checkpoints have none beside them
        return vocabularies.load(self.vocabulary or own)

    def sizes(self) -> T5Config:
        """The architecture, without reading any weight."""
        found = checkpoint.sizes(self.folder(), self.config)
        return replace(found, dtype=self.dtype, operands=self.operands, dropout_rate=self.dropout_rate)

    def abstract(self) -> dict:
        """The parameters that `load` reads, as abstract arrays, without reading any weight."""
        shapes = parameter_shapes(self.sizes())
        return nested({name: jax.ShapeDtypeStruct(shape, self.weights_dtype) for name, shape in shapes.items()})

    def weight_bytes(self) -> int:
        """What the loaded parameters take, without reading any weight."""
        return parameter_count(self.sizes()) * jax.numpy.dtype(self.weights_dtype).itemsize

    def load(self, placement: Placement | None = None) -> Frozen:
        """Read vocabulary and weights, onto one device or as they are placed on a mesh.

        UserError for whatever is missing, of another shape, or damaged.
        """
        placement, config, vocabulary = placement or Placement.of(), self.sizes(), self.load_vocabulary()
        check_vocabulary(vocabulary, config)
        params, mark = self.read(placement)
        return Frozen(self.checkpoint, config, params, vocabulary, mark, placement)

    def read(self, placement: Placement) -> tuple[dict, str]:
        """The weights, placed, and their fingerprint. Of several processes each reads what its own devices need."""
        samples = Samples()
        flat = checkpoint.read(self.folder(weights=True), self.sizes(), self.weights_dtype, partial(_put, placement, samples))
        return nested(flat), samples.digest(of_every_process)


def _put(placement: Placement, samples: Samples, name: str, shape: tuple[int, ...], read: Read) -> jax.Array:
    """A parameter where it belongs; of what devices have alike, one reading."""
    parts: dict[str, np.ndarray] = {}

    def part(index: tuple[slice, ...]) -> np.ndarray:
        if str(index) not in parts:
            parts[str(index)] = read(index)
            samples.add(name, shape, index, parts[str(index)])
        return parts[str(index)]

    return placement.read(name, shape, part)


def check_vocabulary(vocabulary: Vocabulary, config: T5Config) -> None:
    """UserError if the model has no embedding for some of the vocabulary's ids: reading beyond the table gives NaN."""
    if vocabulary.size > config.vocab_size:
        raise UserError(
            f"the vocabulary {vocabulary.path} has {vocabulary.size} ids, the model only {config.vocab_size} embeddings",
            "give the vocabulary that belongs to the model",
        )


def save(folder: Path, config: T5Config, params: Mapping, vocabulary: Vocabulary, dtype: str = "float32") -> None:
    """Write a model as a Hugging Face folder, with its vocabulary beside it. UserError where that cannot be done.

    Of several processes the first one writes it, which has all of it in memory meanwhile.
    """
    flat = flat_parameters(params)
    if first():
        with huggingface_writing.writing(folder, config, dtype) as put:
            for name, array in flat.items():
                put(name, array.shape, array.__getitem__)
        vocabulary.save(folder)


def nested(flat: Mapping[str, Any]) -> dict:
    """{"encoder/layers_0/...": leaf} as a nested tree."""
    return unflatten_dict(dict(flat), sep="/")


def flat_parameters(params: Mapping) -> dict[str, np.ndarray]:
    """A nested tree as {"encoder/layers_0/...": array}, whole on every process."""
    return {name: fetch(array) for name, array in flatten_dict(params, sep="/").items()}
