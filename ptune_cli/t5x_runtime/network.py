"""Our T5 behind T5X's interface of a network: ids in, the prompt among the parameters, decoding through a `cache` collection.

Flax alone, so that what T5X's models call can be tested where T5X is not installed.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ptune_cli.errors import UserError
from ptune_cli.prompts.bank import vectors
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.model import KeysValues
from ptune_cli.t5x_runtime.prompted import PromptedT5, PromptInit

CACHE, PAST, INDEX = "cache", "past", "cache_index"  # T5X's decoders leave what is named cache_index as it is


class Transformer(nn.Module):
    """What T5X's EncoderDecoderModel calls: the prompt in front of every input, then T5."""

    config: T5Config
    prompt_length: int
    prompt_init: PromptInit

    def setup(self):
        self.t5 = PromptedT5(self.config, self.prompt_length, self.prompt_init)
        nn.share_scope(self, self.t5)  # parameters are named as T5's own, without a level for the wrapper

    def encode(self, encoder_input_tokens, encoder_segment_ids=None, enable_dropout: bool = True) -> jax.Array:
        """Memory [B, P + T, D] of token ids [B, T]. UserError on packed inputs."""
        return self._encode(encoder_input_tokens, encoder_segment_ids, self._dropout_keys(encoder_input_tokens, enable_dropout))

    def decode(
        self,
        encoded: jax.Array,
        encoder_input_tokens: jax.Array,
        decoder_input_tokens: jax.Array,
        decoder_target_tokens: jax.Array,
        encoder_segment_ids=None,
        decoder_segment_ids=None,
        decoder_positions=None,
        enable_dropout: bool = True,
        decode: bool = False,
        max_decode_length: int | None = None,
    ) -> jax.Array:
        """Logits [B, S, V] float32 of inputs [B, S] over memory [B, P + T, D]; of one input [B, 1] and the cache, if `decode`."""
        if decode:
            return self._decode_one(encoded, encoder_input_tokens, decoder_input_tokens)
        keys = self._dropout_keys(encoder_input_tokens, enable_dropout)
        return self._decode(encoded, encoder_input_tokens, decoder_input_tokens, decoder_target_tokens, keys)

    def __call__(
        self,
        encoder_input_tokens: jax.Array,
        decoder_input_tokens: jax.Array,
        decoder_target_tokens: jax.Array,
        encoder_segment_ids=None,
        decoder_segment_ids=None,
        encoder_positions=None,
        decoder_positions=None,
        *,
        enable_dropout: bool = True,
        decode: bool = False,
    ) -> jax.Array | None:
        """Logits [B, S, V] float32 of ids [B, T], [B, S] and [B, S]. With `decode` nothing but an empty cache for S tokens."""
        if decode:
            return self._empty_cache(*decoder_input_tokens.shape)
        keys = self._dropout_keys(encoder_input_tokens, enable_dropout)
        memory = self._encode(encoder_input_tokens, encoder_segment_ids, keys)
        return self._decode(memory, encoder_input_tokens, decoder_input_tokens, decoder_target_tokens, keys)

    def _encode(self, tokens, packed, keys) -> jax.Array:
        if packed is not None:
            raise UserError("inputs are packed, and a prompt is put in front of one", "set pack = False of every DatasetConfig")
        slots = jnp.broadcast_to(-1 - jnp.arange(self.prompt_length, dtype=jnp.int32), (len(tokens), self.prompt_length))
        ids = jnp.concatenate([slots, tokens.astype(jnp.int32)], axis=1)
        return self.t5.encode(vectors(self.t5.embed, self.t5.prompt_table(), ids), self._segments(tokens), keys)

    def _decode(self, memory, tokens, inputs, targets, keys) -> jax.Array:
        y = self.t5.embed(inputs.astype(jnp.int32))
        return self.t5.decode(y, memory, (targets > 0).astype(jnp.int32), self._segments(tokens), keys)

    def _decode_one(self, memory, tokens, inputs) -> jax.Array:
        index, past = self.get_variable(CACHE, INDEX), self.get_variable(CACHE, PAST)
        # One query a row: cross-attention reads the memory as it is, which is less than the keys and values of all layers again.
        cross = self.t5.cross(memory, 1)
        logits, past = self.t5.decode_one(self.t5.embed(inputs), cross, past, index, self._segments(tokens))
        self._keep(past, index + 1)
        return logits[:, None]

    def _empty_cache(self, rows: int, length: int) -> None:
        c = self.config
        empty = jnp.zeros((rows, c.num_heads, length, c.head_dim), c.dtype)
        self._keep([(empty, empty)] * c.num_decoder_layers, jnp.zeros((), jnp.int32))

    def _keep(self, past: list[KeysValues], index: jax.Array) -> None:
        self.put_variable(CACHE, PAST, past)
        self.put_variable(CACHE, INDEX, index)

    def _segments(self, tokens: jax.Array) -> jax.Array:
        return jnp.pad((tokens > 0).astype(jnp.int32), ((0, 0), (self.prompt_length, 0)), constant_values=1)

    def _dropout_keys(self, tokens: jax.Array, enabled: bool) -> Any:
        """A key for each example [B, 1], or None."""
        if not (enabled and self.config.dropout_rate):
            return None
        bits = jax.random.bits(self.make_rng("dropout"), (len(tokens), 1))
        return jax.vmap(jax.vmap(jax.random.key))(bits)
