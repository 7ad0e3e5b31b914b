"""T5 1.0 and 1.1, with T5X's parameter names.

`encode` and `decode` take vectors, not ids. That is the whole reason prompts need no change to the model: whoever calls
it decides which positions are tokens and which are rows of a prompt. Segments stand in for masks: 0 is padding, and a
position sees only its own segment, so several examples can share a row.
"""

import zlib
from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp

from ptune_cli.t5.attention import Attention, Source
from ptune_cli.t5.config import SUBLAYERS, T5Config
from ptune_cli.t5.dropout import Dropout, dropped
from ptune_cli.t5.layers import Linear, Mlp, Norm, RelativeBias, at_least_float32, fan_in_truncated

KeysValues = tuple[jax.Array, jax.Array]  # [B, H, T, head_dim] each


class Layer(nn.Module):
    """A pre-norm residual layer of one stack: the sublayers of the table `SUBLAYERS`, in its order."""

    config: T5Config
    stack: str

    def setup(self):
        for sublayer, norm in SUBLAYERS[self.stack].items():
            setattr(self, norm, Norm(self.config.dtype))
            setattr(self, sublayer, Mlp(self.config) if sublayer == "mlp" else Attention(self.config))
        if self.config.relative_bias_per_layer:
            self.relpos_bias = RelativeBias(self.config, bidirectional=self.stack == "encoder")

    def encode(self, x, bias, mask, dropout: Dropout | None):
        h = self.pre_attention_layer_norm(x)
        x = x + self._drop(self.attention(h, self.attention.keys_values(h), bias, mask, dropout), 1, dropout)
        return x + self._drop(self.mlp(self.pre_mlp_layer_norm(x), dropout), 2, dropout)

    def decode(self, x, cross: Source, biases, masks, dropouts, past: KeysValues | None = None, index=0):
        """The layer over all targets, or with `past` over the one at `index`, whose keys and values join the cache.

        Biases, masks and dropouts are those of targets and of the memory.
        """
        h = self.pre_self_attention_layer_norm(x)
        present = self.self_attention.keys_values(h)
        if past is not None:
            present = jax.tree.map(lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new, index, 2), past, present)
        x = x + self._drop(self.self_attention(h, present, biases[0], masks[0], dropouts[0]), 1, dropouts[0])
        h = self.pre_cross_attention_layer_norm(x)
        x = x + self._drop(self.encoder_decoder_attention(h, cross, biases[1], masks[1], dropouts[1]), 2, dropouts[0])
        return x + self._drop(self.mlp(self.pre_mlp_layer_norm(x), dropouts[0]), 3, dropouts[0]), present

    def _drop(self, x, site: int, dropout: Dropout | None):
        at = dropout and dropout.at(zlib.crc32("/".join(self.path).encode()) + site)
        return dropped(x, at, self.config.dropout_rate)


class Stack(nn.Module):
    """The layers, final norm and position bias of the encoder or the decoder."""

    config: T5Config
    stack: str

    def setup(self):
        c = self.config
        layers = c.num_encoder_layers if self.stack == "encoder" else c.num_decoder_layers
        if not c.relative_bias_per_layer:
            self.relpos_bias = RelativeBias(c, bidirectional=self.stack == "encoder")
        self.layers = [Layer(c, self.stack) for _ in range(layers)]
        setattr(self, f"{self.stack}_norm", Norm(c.dtype))
        if self.stack == "decoder" and not c.logits_via_embedding:
            # Logits in float32 at least: bfloat16 has 8 bits for a choice among 32,128 words. Their operands may be rounded as
            # others are: float32 copies of a bfloat16 kernel [D, V] were 5% of a step on a CPU.
            exact = replace(c, dtype=str(jnp.promote_types(c.dtype, jnp.float32)))
            self.logits_dense = Linear(c.emb_dim, c.vocab_size, exact, fan_in_truncated)

    def encode(self, x, segments, keys):
        dropout = None if keys is None else Dropout(keys, segments)
        mask = (segments[:, :, None] == segments[:, None, :]) & (segments[:, None, :] > 0)
        biases = self._biases(x.shape[1])
        x = self._drop(x, 1, dropout)
        for layer, bias in zip(self.layers, biases, strict=True):
            x = layer.encode(x, bias, mask, dropout)
        return self._drop(self.encoder_norm(x), 2, dropout)

    def decode(self, x, memory, segments, memory_segments, keys, queries):
        s = x.shape[1]
        dropouts = [None if keys is None else Dropout(keys, axis) for axis in (segments, memory_segments)]
        causal = jnp.tril(jnp.ones((s, s), bool))[None]
        masks = (
            (segments[:, :, None] == segments[:, None, :]) & (segments[:, None, :] > 0) & causal,
            (segments[:, :, None] == memory_segments[:, None, :]) & (memory_segments[:, None, :] > 0),
        )
        no_bias = jnp.zeros((1, 1, 1, 1), x.dtype)
        x = self._drop(x, 1, dropouts[0])
        for layer, bias, cross in zip(self.layers, self._biases(s), self.cross(memory, queries), strict=True):
            x, _ = layer.decode(x, cross, (bias, no_bias), masks, dropouts)
        return self._drop(self.decoder_norm(x), 2, dropouts[0])

    def cross(self, memory, queries: int) -> list[Source]:
        return [layer.encoder_decoder_attention.source(memory, queries) for layer in self.layers]

    def decode_one(self, x, cross, past, index, memory_segments):
        length = past[0][0].shape[2]
        masks = (
            jnp.broadcast_to(jnp.arange(length)[None, None, :] <= index, (x.shape[0], 1, length)),
            memory_segments[:, None, :] > 0,
        )
        no_bias, presents = jnp.zeros((1, 1, 1, 1), x.dtype), []
        for layer, bias, layer_cross, layer_past in zip(self.layers, self._biases(length), cross, past, strict=True):
            biases = (jax.lax.dynamic_slice_in_dim(bias, index, 1, axis=2), no_bias)
            x, present = layer.decode(x, layer_cross, biases, masks, (None, None), layer_past, index)
            presents.append(present)
        return self.decoder_norm(x), presents

    def _biases(self, length: int) -> list[jax.Array]:
        """The bias [1, H, length, length] of each layer."""
        if self.config.relative_bias_per_layer:
            return [layer.relpos_bias(length, length) for layer in self.layers]
        return [self.relpos_bias(length, length)] * len(self.layers)

    def _drop(self, x, site: int, dropout: Dropout | None):
        return dropped(x, dropout and dropout.at(zlib.crc32(self.stack.encode()) + site), self.config.dropout_rate)


class T5(nn.Module):
    """A T5 of any size, used through `model.apply({"params": params}, ..., method="encode")`."""

    config: T5Config

    def setup(self):
        c = self.config
        self.token_embedder = nn.Embed(c.vocab_size, c.emb_dim, dtype=c.dtype, embedding_init=nn.initializers.normal(1.0))
        self.encoder = self.make_encoder()
        self.decoder = Stack(c, "decoder")

    def make_encoder(self) -> Stack:
        """The encoder of `setup`: another where a prompt is to be among its parameters."""
        return Stack(self.config, "encoder")

    def embed(self, ids: jax.Array) -> jax.Array:
        """Vectors [B, T, D] of token ids [B, T]."""
        return self.token_embedder(ids)

    def encode(self, x: jax.Array, segments: jax.Array, dropout_keys: jax.Array | None = None) -> jax.Array:
        """Memory [B, T, D] of vectors x [B, T, D]; segments [B, T] int32; dropout keys [B, E] of its examples, or None."""
        return self.encoder.encode(x, segments, dropout_keys)

    def decode(self, x, memory, target_segments, memory_segments, dropout_keys=None, queries: int | None = None) -> jax.Array:
        """Logits [B, S, V] float32 of decoder inputs x [B, S, D] (vectors) over memory [B, T, D].

        `queries` is how many positions read a row of memory in all, if this is one of several calls (of a vmap) that do.
        """
        y = self.decoder.decode(x, memory, target_segments, memory_segments, dropout_keys, queries or x.shape[1])
        return self._logits(y)

    def cross(self, memory, queries: int) -> list[Source]:
        """What each layer's cross-attention reads for `queries` decoded positions, computed once per input."""
        return self.decoder.cross(memory, queries)

    def decode_one(self, x, cross, past, index, memory_segments) -> tuple[jax.Array, list[KeysValues]]:
        """Logits [B, V] of the one decoder input x [B, 1, D] at position `index`, and the cache with it added."""
        y, past = self.decoder.decode_one(x, cross, past, index, memory_segments)
        return self._logits(y)[:, 0], past

    def __call__(self, ids, target_ids):
        """Logits [B, S, V] from ids alone, 0 being padding and the first decoder input: what `init` traces."""
        segments, target_segments = (ids > 0).astype(jnp.int32), jnp.ones_like(target_ids)
        memory = self.encode(self.embed(ids), segments)
        return self.decode(self.embed(target_ids), memory, target_segments, segments)

    def _logits(self, y):
        if not self.config.logits_via_embedding:
            return self.decoder.logits_dense(y)
        # Not `attend`, which multiplies in the activations' dtype and would round the logits to it.
        logits = at_least_float32(y) @ at_least_float32(self.token_embedder.embedding).T
        return logits / jnp.sqrt(jnp.array(self.config.emb_dim, logits.dtype))
