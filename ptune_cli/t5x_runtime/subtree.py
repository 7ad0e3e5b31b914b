"""The prompt among a tree of parameters, of their gradients or of their axes."""

from typing import Any

from flax.core import FrozenDict, freeze, unfreeze
from flax.traverse_util import flatten_dict, unflatten_dict


def is_prompt(path: str) -> bool:
    """Whether a parameter's path ("encoder/prompt/prompt/prompt") is a prompt's."""
    return "prompt" in path.split("/")


def prompts(tree: Any) -> Any:
    """The tree with nothing but its prompts."""
    return _like(tree, {name: leaf for name, leaf in _flat(tree).items() if is_prompt(name)})


def with_prompts(tree: Any, found: Any) -> Any:
    """The tree with other prompts."""
    return _like(tree, {**_flat(tree), **_flat(found)})


def _flat(tree: Any) -> dict[str, Any]:
    return flatten_dict(unfreeze(tree), sep="/")


def _like(tree: Any, flat: dict[str, Any]) -> Any:
    nested = unflatten_dict(flat, sep="/")
    return freeze(nested) if isinstance(tree, FrozenDict) else nested
