"""Beam search as T5X decodes: what the original code evaluates with, also where it says "greedy".

T5X's default is this search with one beam, and that is not greedy decoding: each step looks at the two best tokens, and if
one of them is EOS the ended sequence is kept aside, even when the other is likelier. An ended sequence, the one with the
best score log p / ((5 + length) / 6)^alpha, always wins over one that has not ended.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ptune_cli.t5.model import T5

EOS = 1
NEVER = -1.0e7  # T5X's "no such sequence"


class Search(NamedTuple):
    """The state of a search over B inputs and K beams, S tokens at most."""

    index: jax.Array
    live_ids: jax.Array  # [B, K, S]
    live_log_p: jax.Array  # [B, K]
    ended_ids: jax.Array  # [B, K, S]
    ended_scores: jax.Array  # [B, K]
    past: list  # the KV cache, rows B * K


def beam_search(model: T5, params, memory, segments, limits: jax.Array, length: int, beams: int, alpha: float = 0.6):
    """Ids [B, length] int32, 0 after EOS, of the best sequence for each memory [B, T, D]; alpha 0.6 is T5X's.

    Row b is searched for `limits[b]` tokens (limits [B] int32, at most `length`), as it would be alone.
    """

    def apply(method, *args) -> Any:
        return model.apply({"params": params}, *args, method=method)

    c, rows = model.config, memory.shape[0]
    cross = jax.tree.map(lambda x: jnp.repeat(x, beams, axis=0), apply("cross", memory, beams * length))
    seen = jnp.repeat(segments, beams, axis=0)
    empty = jnp.zeros((rows * beams, c.num_heads, length, c.head_dim), memory.dtype)

    def going(s: Search):
        best_possible = s.live_log_p.max(axis=1) / _penalty(limits, alpha)
        decided = s.ended_scores.min(axis=1) > best_possible
        return (s.index < length) & ~jnp.all(decided | (s.index >= limits) | jnp.all(segments == 0, axis=1))

    def one(s: Search) -> Search:
        before = jnp.where(s.index == 0, 0, jnp.take(s.live_ids, jnp.maximum(s.index - 1, 0), axis=2)).reshape(-1, 1)
        logits, past = apply("decode_one", apply("embed", before), cross, s.past, s.index, seen)
        log_p = s.live_log_p[..., None] + jax.nn.log_softmax(logits).reshape(rows, beams, -1)
        # Twice as many as beams: if all K best ended, K others can still go on.
        top, flat = jax.lax.top_k(log_p.reshape(rows, -1), 2 * beams)
        parent, token = flat // logits.shape[-1], (flat % logits.shape[-1]).astype(jnp.int32)
        ids = jnp.take_along_axis(s.live_ids, parent[..., None], axis=1)
        ids = jnp.where(jnp.arange(length)[None, None, :] == s.index, token[..., None], ids)
        ended = token == EOS
        live_log_p, kept = jax.lax.top_k(jnp.where(ended, NEVER, top), beams)
        scores = jnp.where(ended, top / _penalty(s.index + 1, alpha), NEVER)
        every_score = jnp.concatenate([s.ended_scores, scores], axis=1)
        every_ids = jnp.concatenate([s.ended_ids, ids], axis=1)
        ended_scores, best = jax.lax.top_k(every_score, beams)
        rows_of_cache = (jnp.take_along_axis(parent, kept, axis=1) + beams * jnp.arange(rows)[:, None]).reshape(-1)

        def searched(new, old):
            return jnp.where(jnp.expand_dims(s.index < limits, tuple(range(1, new.ndim))), new, old)

        return Search(
            s.index + 1,
            searched(jnp.take_along_axis(ids, kept[..., None], axis=1), s.live_ids),
            searched(live_log_p, s.live_log_p),
            searched(jnp.take_along_axis(every_ids, best[..., None], axis=1), s.ended_ids),
            searched(ended_scores, s.ended_scores),
            jax.tree.map(lambda x: x[rows_of_cache], past),
        )

    ids = jnp.zeros((rows, beams, length), jnp.int32)
    dtype = jnp.promote_types(memory.dtype, jnp.float32)  # the logits'
    live_log_p = jnp.where(jnp.arange(beams) == 0, 0.0, NEVER)[None].repeat(rows, axis=0).astype(dtype)
    ended_scores = jnp.full((rows, beams), NEVER, dtype)
    past = [(empty, empty)] * c.num_decoder_layers
    found = jax.lax.while_loop(going, one, Search(jnp.zeros((), jnp.int32), ids, live_log_p, ids, ended_scores, past))
    any_ended = found.ended_scores[:, 0] > NEVER / 2
    return jnp.where(any_ended[:, None], found.ended_ids[:, 0], found.live_ids[:, 0])


def _penalty(length, alpha: float):
    return ((5.0 + length) / 6.0) ** alpha
