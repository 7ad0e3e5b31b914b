"""The table of Mesh TensorFlow's and T5X's names of T5's parameters. Shapes are the same in both."""

import re

from ptune_cli.t5.config import T5Config, parameter_shapes

NAMES = {  # T5X's name: Mesh TensorFlow's
    "token_embedder/embedding": "shared/embedding",
    "encoder/relpos_bias/rel_embedding": "encoder/block_000/layer_000/SelfAttention/relative_attention_bias",
    "encoder/layers_{i}/relpos_bias/rel_embedding": "encoder/block_{i:03}/layer_000/SelfAttention/relative_attention_bias",
    "encoder/layers_{i}/pre_attention_layer_norm/scale": "encoder/block_{i:03}/layer_000/{norm}/scale",
    "encoder/layers_{i}/attention/query/kernel": "encoder/block_{i:03}/layer_000/SelfAttention/q",
    "encoder/layers_{i}/attention/key/kernel": "encoder/block_{i:03}/layer_000/SelfAttention/k",
    "encoder/layers_{i}/attention/value/kernel": "encoder/block_{i:03}/layer_000/SelfAttention/v",
    "encoder/layers_{i}/attention/out/kernel": "encoder/block_{i:03}/layer_000/SelfAttention/o",
    "encoder/layers_{i}/pre_mlp_layer_norm/scale": "encoder/block_{i:03}/layer_001/{norm}/scale",
    "encoder/layers_{i}/mlp/wi/kernel": "encoder/block_{i:03}/layer_001/DenseReluDense/wi/kernel",
    "encoder/layers_{i}/mlp/wi_0/kernel": "encoder/block_{i:03}/layer_001/DenseReluDense/wi_0/kernel",
    "encoder/layers_{i}/mlp/wi_1/kernel": "encoder/block_{i:03}/layer_001/DenseReluDense/wi_1/kernel",
    "encoder/layers_{i}/mlp/wo/kernel": "encoder/block_{i:03}/layer_001/DenseReluDense/wo/kernel",
    "encoder/encoder_norm/scale": "encoder/{last_norm}/scale",
    "decoder/relpos_bias/rel_embedding": "decoder/block_000/layer_000/SelfAttention/relative_attention_bias",
    "decoder/layers_{i}/relpos_bias/rel_embedding": "decoder/block_{i:03}/layer_000/SelfAttention/relative_attention_bias",
    "decoder/layers_{i}/pre_self_attention_layer_norm/scale": "decoder/block_{i:03}/layer_000/{norm}/scale",
    "decoder/layers_{i}/self_attention/query/kernel": "decoder/block_{i:03}/layer_000/SelfAttention/q",
    "decoder/layers_{i}/self_attention/key/kernel": "decoder/block_{i:03}/layer_000/SelfAttention/k",
    "decoder/layers_{i}/self_attention/value/kernel": "decoder/block_{i:03}/layer_000/SelfAttention/v",
    "decoder/layers_{i}/self_attention/out/kernel": "decoder/block_{i:03}/layer_000/SelfAttention/o",
    "decoder/layers_{i}/pre_cross_attention_layer_norm/scale": "decoder/block_{i:03}/layer_001/{norm}/scale",
    "decoder/layers_{i}/encoder_decoder_attention/query/kernel": "decoder/block_{i:03}/layer_001/EncDecAttention/q",
    "decoder/layers_{i}/encoder_decoder_attention/key/kernel": "decoder/block_{i:03}/layer_001/EncDecAttention/k",
    "decoder/layers_{i}/encoder_decoder_attention/value/kernel": "decoder/block_{i:03}/layer_001/EncDecAttention/v",
    "decoder/layers_{i}/encoder_decoder_attention/out/kernel": "decoder/block_{i:03}/layer_001/EncDecAttention/o",
    "decoder/layers_{i}/pre_mlp_layer_norm/scale": "decoder/block_{i:03}/layer_002/{norm}/scale",
    "decoder/layers_{i}/mlp/wi/kernel": "decoder/block_{i:03}/layer_002/DenseReluDense/wi/kernel",
    "decoder/layers_{i}/mlp/wi_0/kernel": "decoder/block_{i:03}/layer_002/DenseReluDense/wi_0/kernel",
    "decoder/layers_{i}/mlp/wi_1/kernel": "decoder/block_{i:03}/layer_002/DenseReluDense/wi_1/kernel",
    "decoder/layers_{i}/mlp/wo/kernel": "decoder/block_{i:03}/layer_002/DenseReluDense/wo/kernel",
    "decoder/decoder_norm/scale": "decoder/{last_norm}/scale",
    "decoder/logits_dense/kernel": "decoder/logits/kernel",
}
NORMS = (  # within layers, and after the last: the first releases' names, and what later code calls them
    {"norm": "layer_norm", "last_norm": "final_layer_norm"},
    {"norm": "rms_norm", "last_norm": "rms_norm"},
)


def t5x_names(config: T5Config) -> dict[str, str]:
    """{Mesh TensorFlow's name: T5X's} of the parameters of a T5, norms by each of the names that they had."""
    return {mesh_name(name, norms): name for name in parameter_shapes(config) for norms in NORMS}


def mesh_name(name: str, norms: dict[str, str]) -> str:
    """Mesh TensorFlow's name of the parameter that T5X names so, with one pair of `NORMS`."""
    pattern, layer = re.sub(r"layers_\d+/", "layers_{i}/", name), re.search(r"layers_(\d+)/", name)
    return NAMES[pattern].format(i=int(layer[1]) if layer else 0, **norms)


def t5x_name(name: str) -> str:
    """T5X's name of the parameter that Mesh TensorFlow names so, of any number of layers; of what is none, the name itself."""
    layer = re.search(r"/block_(\d+)/", name)
    for own, pattern in NAMES.items():
        if name in (pattern.format(i=int(layer[1]) if layer else 0, **norms) for norms in NORMS):
            return own.format(i=int(layer[1]) if layer else 0)
    return name
