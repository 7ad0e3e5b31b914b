"""Writes a T5 1.1 with random weights, of a size in gin/models, as a Hugging Face folder.

python -m benchmarks.random_model small FOLDER
"""

import sys
from dataclasses import replace

import jax
import jax.numpy as jnp

from ptune_cli import config
from ptune_cli.base_model import BaseModel, flat_parameters
from ptune_cli.formats import huggingface_writing
from ptune_cli.t5.model import T5


def main() -> None:
    """Float32 weights as a model starts its pre-training with."""
    size, folder = sys.argv[1:]
    model, _ = config.load(BaseModel, [f"models/t5_1_1_{size}.gin"])
    assert model.config is not None
    sizes, ids = replace(model.config, dtype="float32"), jnp.ones((1, 2), jnp.int32)
    huggingface_writing.write(folder, sizes, flat_parameters(T5(sizes).init(jax.random.key(0), ids, ids)["params"]))


if __name__ == "__main__":
    main()
