"""The table of T5X's and Hugging Face's names of T5's parameters."""

import re

from ptune_cli.errors import UserError

EMBEDDING = "shared.weight"
LOGITS = "lm_head.weight"
EMBEDDING_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"  # in the first files of T5 1.0

NAMES = {  # T5X's name: Hugging Face's
    "token_embedder/embedding": "shared.weight",
    "encoder/relpos_bias/rel_embedding": "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    "encoder/layers_{i}/relpos_bias/rel_embedding": "encoder.block.{i}.layer.0.SelfAttention.relative_attention_bias.weight",
    "encoder/layers_{i}/pre_attention_layer_norm/scale": "encoder.block.{i}.layer.0.layer_norm.weight",
    "encoder/layers_{i}/attention/query/kernel": "encoder.block.{i}.layer.0.SelfAttention.q.weight",
    "encoder/layers_{i}/attention/key/kernel": "encoder.block.{i}.layer.0.SelfAttention.k.weight",
    "encoder/layers_{i}/attention/value/kernel": "encoder.block.{i}.layer.0.SelfAttention.v.weight",
    "encoder/layers_{i}/attention/out/kernel": "encoder.block.{i}.layer.0.SelfAttention.o.weight",
    "encoder/layers_{i}/pre_mlp_layer_norm/scale": "encoder.block.{i}.layer.1.layer_norm.weight",
    "encoder/layers_{i}/mlp/wi/kernel": "encoder.block.{i}.layer.1.DenseReluDense.wi.weight",
    "encoder/layers_{i}/mlp/wi_0/kernel": "encoder.block.{i}.layer.1.DenseReluDense.wi_0.weight",
    "encoder/layers_{i}/mlp/wi_1/kernel": "encoder.block.{i}.layer.1.DenseReluDense.wi_1.weight",
    "encoder/layers_{i}/mlp/wo/kernel": "encoder.block.{i}.layer.1.DenseReluDense.wo.weight",
    "encoder/encoder_norm/scale": "encoder.final_layer_norm.weight",
    "decoder/relpos_bias/rel_embedding": "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    "decoder/layers_{i}/relpos_bias/rel_embedding": "decoder.block.{i}.layer.0.SelfAttention.relative_attention_bias.weight",
    "decoder/layers_{i}/pre_self_attention_layer_norm/scale": "decoder.block.{i}.layer.0.layer_norm.weight",
    "decoder/layers_{i}/self_attention/query/kernel": "decoder.block.{i}.layer.0.SelfAttention.q.weight",
    "decoder/layers_{i}/self_attention/key/kernel": "decoder.block.{i}.layer.0.SelfAttention.k.weight",
    "decoder/layers_{i}/self_attention/value/kernel": "decoder.block.{i}.layer.0.SelfAttention.v.weight",
    "decoder/layers_{i}/self_attention/out/kernel": "decoder.block.{i}.layer.0.SelfAttention.o.weight",
    "decoder/layers_{i}/pre_cross_attention_layer_norm/scale": "decoder.block.{i}.layer.1.layer_norm.weight",
    "decoder/layers_{i}/encoder_decoder_attention/query/kernel": "decoder.block.{i}.layer.1.EncDecAttention.q.weight",
    "decoder/layers_{i}/encoder_decoder_attention/key/kernel": "decoder.block.{i}.layer.1.EncDecAttention.k.weight",
    "decoder/layers_{i}/encoder_decoder_attention/value/kernel": "decoder.block.{i}.layer.1.EncDecAttention.v.weight",
    "decoder/layers_{i}/encoder_decoder_attention/out/kernel": "decoder.block.{i}.layer.1.EncDecAttention.o.weight",
    "decoder/layers_{i}/pre_mlp_layer_norm/scale": "decoder.block.{i}.layer.2.layer_norm.weight",
    "decoder/layers_{i}/mlp/wi/kernel": "decoder.block.{i}.layer.2.DenseReluDense.wi.weight",
    "decoder/layers_{i}/mlp/wi_0/kernel": "decoder.block.{i}.layer.2.DenseReluDense.wi_0.weight",
    "decoder/layers_{i}/mlp/wi_1/kernel": "decoder.block.{i}.layer.2.DenseReluDense.wi_1.weight",
    "decoder/layers_{i}/mlp/wo/kernel": "decoder.block.{i}.layer.2.DenseReluDense.wo.weight",
    "decoder/decoder_norm/scale": "decoder.final_layer_norm.weight",
    "decoder/logits_dense/kernel": "lm_head.weight",
}


def huggingface_name(name: str) -> str:
    """Hugging Face's name of the parameter that T5X names so. UserError where its T5 has no such parameter."""
    pattern, layer = re.sub(r"layers_\d+/", "layers_{i}/", name), re.search(r"layers_(\d+)/", name)
    if pattern not in NAMES:
        raise UserError(f"Hugging Face's T5 has no parameter {name}", "keep this model in T5X's format")
    return NAMES[pattern].format(i=layer[1] if layer else "")


def is_transposed(name: str) -> bool:
    """Whether Hugging Face stores the parameter that T5X names so the other way round: every matrix but the embedding."""
    return not name.endswith(("/scale", "token_embedder/embedding"))
