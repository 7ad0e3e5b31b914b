"""T5X's encoder-decoder model around our network."""

from collections.abc import Mapping
from typing import Any

import jax
from flax.core import freeze, unfreeze
from t5x import models  # pyright: ignore[reportMissingImports] - not in every environment

from ptune_cli.t5x_runtime.axes import params_axes
from ptune_cli.t5x_runtime.subtree import prompts, with_prompts


class PromptedModel(models.EncoderDecoderModel):
    """An encoder-decoder of which the prompt alone is trained. `module` is a `network.Transformer`."""

    def get_initial_variables(self, rng: jax.Array, input_shapes: Mapping[str, Any], input_types: Any = None) -> Any:
        """The parameters, and beside them the logical axes that T5X's partitioner asks for."""
        variables = unfreeze(super().get_initial_variables(rng, input_shapes, input_types))
        return freeze({**variables, "params_axes": params_axes(variables["params"])})

    def loss_fn(self, params: Any, batch: Mapping[str, Any], dropout_rng: jax.Array | None) -> Any:
        """T5X's loss and metrics. Gradients stop at frozen weights, so that none is computed for them."""
        frozen = jax.tree.map(jax.lax.stop_gradient, params)
        return super().loss_fn(with_prompts(frozen, prompts(params)), batch, dropout_rng)
