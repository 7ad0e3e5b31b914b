"""T5X's encoder-decoder model around our network, and the optimizer that moves nothing but the prompt."""

from collections.abc import Mapping
from typing import Any

import jax
from flax.core import freeze, unfreeze
from flax.traverse_util import ModelParamTraversal, flatten_dict, unflatten_dict
from t5x import models, optimizers  # pyright: ignore[reportMissingImports] - not in every environment

from ptune_cli.t5x_runtime.axes import params_axes


class PromptedModel(models.EncoderDecoderModel):
    """An encoder-decoder of which the prompt alone is trained. `module` is a `network.Transformer`."""

    def get_initial_variables(self, rng: jax.Array, input_shapes: Mapping[str, Any], input_types: Any = None) -> Any:
        """The parameters, and beside them the logical axes that T5X's partitioner asks for."""
        variables = unfreeze(super().get_initial_variables(rng, input_shapes, input_types))
        return freeze({**variables, "params_axes": params_axes(variables["params"])})

    def loss_fn(self, params: Any, batch: Mapping[str, Any], dropout_rng: jax.Array | None) -> Any:
        """T5X's loss and metrics. Gradients stop at frozen weights, so that none is computed for them."""
        return super().loss_fn(_frozen_but_prompt(params), batch, dropout_rng)


def prompt_only(optimizer: Any) -> optimizers.MultiOptimizer:
    """The T5X optimizer for the prompt, and none for anything else."""
    return optimizers.MultiOptimizer([(ModelParamTraversal(lambda path, _: is_prompt(path)), optimizer)])


def is_prompt(path: str) -> bool:
    """Whether a parameter's path ("/encoder/prompt/prompt/prompt") is a prompt's."""
    return "prompt" in path.split("/")


def _frozen_but_prompt(params: Any) -> Any:
    flat = flatten_dict(unfreeze(params), sep="/")
    return unflatten_dict({name: x if is_prompt(name) else jax.lax.stop_gradient(x) for name, x in flat.items()}, sep="/")
