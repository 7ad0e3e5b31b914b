"""Prints, as JSON, {name: [shape, logical axes]} of T5X's own network and of ours in T5X's model. For a Python that has T5X."""

# ruff: noqa: TID253 - see above

import json

import jax
import seqio
from flax import traverse_util
from flax.linen import initializers, partitioning
from t5x import adafactor, models
from t5x.examples.t5 import network as theirs

from ptune_cli.t5.config import T5Config
from ptune_cli.t5x_runtime import model, network, optimizer

SIZES = dict(vocab_size=128, emb_dim=16, num_heads=4, head_dim=8, mlp_dim=32, num_encoder_layers=2, num_decoder_layers=2)
ACTIVATIONS = ("gelu", "linear")


def parameters(cls, module) -> dict[str, list]:
    ids = seqio.PassThroughVocabulary(128)
    own = cls(module, ids, ids, optimizer.PromptOnly(adafactor.Adafactor()))
    shapes = {"encoder_input_tokens": (2, 6), "decoder_input_tokens": (2, 4)}
    made = jax.eval_shape(lambda key: own.get_initial_variables(key, shapes), jax.random.PRNGKey(0))
    axes = traverse_util.flatten_dict(partitioning.get_axis_names(made["params_axes"]), sep="/")
    flat = traverse_util.flatten_dict(made["params"], sep="/")
    return {name: [leaf.shape, tuple(axes[name])] for name, leaf in flat.items()}


reference = parameters(models.EncoderDecoderModel, theirs.Transformer(theirs.T5Config(mlp_activations=ACTIVATIONS, **SIZES)))
prompted = network.Transformer(T5Config(mlp_activations=ACTIVATIONS, **SIZES), 3, initializers.uniform())
print(json.dumps([reference, parameters(model.PromptedModel, prompted)]))
