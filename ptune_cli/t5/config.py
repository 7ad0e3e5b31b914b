"""The sizes of a T5, and the table of its parameters: T5X's names and shapes, with nothing allocated."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class T5Config:
    """One T5 architecture, in T5X's terms. The defaults are T5 1.1's; T5 1.0 has `("relu",)` and tied logits."""

    vocab_size: int  # rows of the embedding, padding rows included (32,128 for T5)
    emb_dim: int
    num_heads: int
    head_dim: int
    mlp_dim: int
    num_encoder_layers: int
    num_decoder_layers: int
    mlp_activations: tuple[str, ...] = ("gelu", "linear")
    logits_via_embedding: bool = False
    dropout_rate: float = 0.1
    dtype: str = "float32"  # of the activations; norms, softmax and logits are float32 at least
    operands: Literal["bfloat16"] | None = None  # of products with kernels, where not the activations': accumulated in theirs
    relative_buckets: int = 32
    relative_max_distance: int = 128
    relative_bias_per_layer: bool = False  # T5X's scanned network (scalable_t5); T5 shares one among a stack's layers


def parameter_shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    """Every parameter's T5X name ("encoder/layers_0/attention/query/kernel") and shape."""
    d = config.emb_dim
    shapes: dict[str, tuple[int, ...]] = {"token_embedder/embedding": (config.vocab_size, d)}
    for stack, layers in (("encoder", config.num_encoder_layers), ("decoder", config.num_decoder_layers)):
        biased = [f"{stack}/layers_{i}" for i in range(layers)] if config.relative_bias_per_layer else [stack]
        shapes.update({f"{owner}/relpos_bias/rel_embedding": (config.num_heads, config.relative_buckets) for owner in biased})
        shapes[f"{stack}/{stack}_norm/scale"] = (d,)
        for i in range(layers):
            shapes.update({f"{stack}/layers_{i}/{name}": shape for name, shape in _layer(config, stack).items()})
    if not config.logits_via_embedding:
        shapes["decoder/logits_dense/kernel"] = (d, config.vocab_size)
    return shapes


def parameter_count(config: T5Config) -> int:
    """The number of frozen parameters (the paper's Table 4 totals less the prompt)."""
    count = 0
    for shape in parameter_shapes(config).values():
        size = 1
        for n in shape:
            size *= n
        count += size
    return count


# sublayer -> the name of the norm before it
SUBLAYERS = {
    "encoder": {"attention": "pre_attention_layer_norm", "mlp": "pre_mlp_layer_norm"},
    "decoder": {
        "self_attention": "pre_self_attention_layer_norm",
        "encoder_decoder_attention": "pre_cross_attention_layer_norm",
        "mlp": "pre_mlp_layer_norm",
    },
}


def _layer(config: T5Config, stack: str) -> dict[str, tuple[int, ...]]:
    d, joined, mlp = config.emb_dim, config.num_heads * config.head_dim, config.mlp_dim
    shapes: dict[str, tuple[int, ...]] = {}
    for sublayer, norm in SUBLAYERS[stack].items():
        shapes[f"{norm}/scale"] = (d,)
        if sublayer == "mlp":
            shapes.update({f"mlp/{name}/kernel": (d, mlp) for name in mlp_inputs(config)})
            shapes["mlp/wo/kernel"] = (mlp, d)
        else:
            shapes.update({f"{sublayer}/{name}/kernel": (d, joined) for name in ("query", "key", "value")})
            shapes[f"{sublayer}/out/kernel"] = (joined, d)
    return shapes


def mlp_inputs(config: T5Config) -> tuple[str, ...]:
    """`wi` for one activation (T5 1.0), `wi_0, wi_1` for a gated pair (T5 1.1), as T5X names them."""
    n = len(config.mlp_activations)
    return ("wi",) if n == 1 else tuple(f"wi_{i}" for i in range(n))
