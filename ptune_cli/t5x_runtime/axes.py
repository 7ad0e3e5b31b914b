"""The logical axes of every parameter, under T5X's names for them: what its partitioner turns into a layout over devices."""

import re
from typing import Any

from flax.linen.partitioning import AxisMetadata
from flax.traverse_util import flatten_dict, unflatten_dict

# The end of a parameter's T5X name -> the names of its axes.
AXES: dict[str, tuple[str, ...]] = {
    r"token_embedder/embedding": ("vocab", "embed"),
    r"relpos_bias/rel_embedding": ("heads", "relpos_buckets"),
    r"norm/scale": ("embed",),
    r"(query|key|value)/kernel": ("embed", "joined_kv"),
    r"out/kernel": ("joined_kv", "embed"),
    r"wi(_\d)?/kernel": ("embed", "mlp"),
    r"wo/kernel": ("mlp", "embed"),
    r"logits_dense/kernel": ("embed", "vocab"),
    r"prompt/prompt/prompt": ("prompt", "prompt_embed"),
}


def params_axes(params: Any) -> dict[str, Any]:
    """The collection `params_axes` of a tree of parameters, as T5X reads it: `{name}_axes` beside each name."""
    axes = {f"{name}_axes": AxisMetadata(_axes(name)) for name in flatten_dict(params, sep="/")}
    return unflatten_dict(axes, sep="/")


def _axes(name: str) -> tuple[str, ...]:
    return next(axes for pattern, axes in AXES.items() if re.search(rf"{pattern}$", name))
