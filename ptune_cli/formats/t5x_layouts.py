"""The layouts a T5X parameter tree comes in, and the flat one that `t5.config.parameter_shapes` names.

    layers   `encoder/layers_3/...`, or scanned: `encoder/encoder/...` with the layers stacked on axis 1
    heads    kernels [D, heads * head_dim], or split: [D, heads, head_dim], and `out` [heads, head_dim, D]
    mlp      `wi_0` and `wi_1` [D, F], or `wi_fused` [D, 2, F]
    relpos   one bias per stack [heads, buckets], or one per layer, in a scanned stack [heads, L, buckets]

T5X's own scanned T5 stacks layers and splits heads, flaxformer's stacks layers only. Fused attention (`qkv_fused`,
`kv_fused`) is left out: flaxformer allows it only with queries divided by sqrt(head_dim), which is not T5's attention.
"""

import re
from collections.abc import Iterator

import numpy as np

from ptune_cli.errors import UserError

SCANNED = re.compile(r"(encoder|decoder)/\1/(.+)")
RELPOS = "relpos_bias/rel_embedding"
SPLIT_HEADS = {  # kernel -> the shape that joins its heads
    re.compile(r".*/(query|key|value)/kernel"): lambda shape: (shape[0], shape[1] * shape[2]),
    re.compile(r".*/out/kernel"): lambda shape: (shape[0] * shape[1], shape[2]),
}
MOST_LAYERS = 1000  # in a stack, or kernels in one: an axis longer than that is not of them
FUSED = re.compile(r"(.*)/wi_fused/kernel")


def flat(name: str, array: np.ndarray, bias_per_layer: bool, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """The parameters (flat name, view of `array`) that one stored array holds, whatever its layout.

    An array of no known layout comes back as it is, for the check of names and shapes to report. Raises UserError where
    the layers of a scanned stack have different relative position biases and the model, by `bias_per_layer`, has one;
    `path` is the checkpoint that it names.
    """
    for layer_name, layer in _layers(name, array, bias_per_layer, path):
        for part_name, part in _unfused(layer_name, layer):
            yield part_name, _joined(part_name, part)


def _layers(name: str, array: np.ndarray, bias_per_layer: bool, path: str) -> Iterator[tuple[str, np.ndarray]]:
    scanned = SCANNED.fullmatch(name)
    if not scanned or array.ndim < 2 or not 0 < array.shape[1] <= MOST_LAYERS:
        yield name, array
    elif scanned[2] == RELPOS and not bias_per_layer:
        yield f"{scanned[1]}/{RELPOS}", _shared(name, array, path)
    else:
        for i in range(array.shape[1]):
            yield f"{scanned[1]}/layers_{i}/{scanned[2]}", array[:, i]


def _shared(name: str, biases: np.ndarray, path: str) -> np.ndarray:
    if not (biases == biases[:, :1]).all():
        message = f"the layers in {name} of {path} have different relative position biases, expected one that they share"
        raise UserError(message, "choose a model with a bias per layer")
    return biases[:, 0]


def _unfused(name: str, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    fused = FUSED.fullmatch(name)
    if not fused or array.ndim != 3 or array.shape[1] > MOST_LAYERS:
        yield name, array
    else:
        for i in range(array.shape[1]):
            yield f"{fused[1]}/wi_{i}/kernel", array[:, i]


def _joined(name: str, array: np.ndarray) -> np.ndarray:
    for pattern, joined_shape in SPLIT_HEADS.items():
        if array.ndim == 3 and pattern.fullmatch(name):
            return array.reshape(joined_shape(array.shape))
    return array
