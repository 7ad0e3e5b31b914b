"""Attention and gated activations have gradients of their own: the same as JAX's, with less kept for them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptune_cli.t5.attention import MASKED, attend
from ptune_cli.t5.layers import ACTIVATIONS, activated

B, H, Q, K, N = 2, 3, 5, 7, 4


def plain(query, key, value, bias, mask):
    logits = jnp.einsum("bhqd,bhkd->bhqk", query, key) + bias + jnp.where(mask, 0.0, MASKED)[:, None]
    return jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(logits), value)


def arguments(dtype, bias_shape=(1, H, Q, K)):
    draw = np.random.default_rng(0)
    shapes = (B, H, Q, N), (B, H, K, N), (B, H, K, N), bias_shape
    mask = draw.random((B, Q, K)) < 0.7
    mask[..., 0] = True  # every query sees something
    return [jnp.asarray(draw.normal(size=shape), dtype) for shape in shapes], jnp.asarray(mask)


@pytest.mark.parametrize("bias_shape", [(1, H, Q, K), (1, 1, 1, 1)], ids=["bias", "no bias"])
def test_attention_and_its_gradients_are_those_of_a_softmax(bias_shape, x64):
    given, mask = arguments(np.float64, bias_shape)
    found, pull = jax.vjp(lambda *given: attend(*given, mask), *given)
    expected, pull_plain = jax.vjp(lambda *given: plain(*given, mask), *given)
    weight = jnp.asarray(np.random.default_rng(1).normal(size=found.shape))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    assert all(jnp.abs(gradient).max() > 0.1 for gradient in pull(weight)[:3])
    for ours, theirs in zip(pull(weight), pull_plain(weight), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13)


def test_a_query_that_sees_nothing_gives_and_gets_no_infinity():
    given, mask = arguments(np.float32)
    found, pull = jax.vjp(lambda *given: attend(*given, mask.at[0, 0].set(False)), *given)
    assert all(np.isfinite(array).all() for array in (found, *pull(jnp.ones_like(found))))


def test_attention_keeps_nothing_as_large_as_its_weights():
    given, mask = arguments(np.float32)
    _, pull = jax.vjp(lambda query, key, value: attend(query, key, value, given[3], mask), *given[:3])
    kept = {leaf.shape for leaf in jax.tree.leaves(pull)}
    assert (B, H, K, N) in kept and (B, H, Q, K) not in kept


@pytest.mark.parametrize("activations", [("relu",), ("gelu", "linear"), ("silu", "linear")])
def test_activated_factors_have_their_own_gradients_and_are_all_that_is_kept(activations, x64):
    factors = [jnp.asarray(np.random.default_rng(i).normal(size=(2, 3, 8))) for i in range(len(activations))]
    found, pull = jax.vjp(lambda *factors: activated(activations, *factors), *factors)

    def written_out(*factors):
        return jnp.prod(jnp.stack([ACTIVATIONS[name](x) for name, x in zip(activations, factors, strict=True)]), axis=0)

    expected, pull_plain = jax.vjp(written_out, *factors)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    for ours, theirs in zip(pull(jnp.ones_like(found)), pull_plain(jnp.ones_like(found)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)
    assert len(jax.tree.leaves(pull)) == len(factors)
