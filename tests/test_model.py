"""The frozen T5: its sizes, and that what shares a row or a batch with an example does not change it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax.traverse_util import flatten_dict

from ptune_cli import config
from ptune_cli.base_model import BaseModel
from ptune_cli.data.batch import Batch, pad
from ptune_cli.t5.config import parameter_count, parameter_shapes
from ptune_cli.t5.dropout import Dropout, dropped, kept
from ptune_cli.t5.layers import relative_bucket, rounded_product
from ptune_cli.t5.model import T5
from ptune_cli.training.loss import dropout_keys, shift_right

T5_1_0 = {"mlp_activations": ("relu",), "logits_via_embedding": True}
# The same sums in another order: 1e-16 on logits of order one, grown through four layers (seen: 2e-15).
FLOAT64 = {"rtol": 0, "atol": 1e-12}
INPUTS = [np.array(ids) for ids in ([5, 9, 33, 7, 1], [50, 1], [17, 8, 40, 40, 22, 61, 3, 1])]
TARGETS = [np.array(ids) for ids in ([12, 30, 1], [9, 9, 44, 1], [1])]


@partial(jax.jit, static_argnums=0)
def logits(c, params, ids, segments, targets, target_segments, keys=None):
    """Teacher-forced logits [B, S, V]."""
    apply = partial(T5(c).apply, {"params": params})
    memory = apply(apply(ids, method="embed"), segments, keys, method="encode")
    before = apply(shift_right(targets, target_segments), method="embed")
    return apply(before, memory, target_segments, segments, keys, method="decode")


def padded(rows, length):
    """Rows of ids, and their segments: each row one example."""
    ids = pad(rows, length)
    return ids, (ids > 0).astype(np.int32)


def packed(examples, rows, length):
    """Rows that hold several of the examples each, one behind the other, and the segments that tell them apart."""
    ids = pad([np.concatenate([examples[i] for i in row]) for row in rows], length)
    segments = pad([np.concatenate([np.full(len(examples[i]), n + 1) for n, i in enumerate(row)]) for row in rows], length)
    return ids, segments


def keys_of(seed: int, step: int, rows) -> jax.Array:
    """[B, 1]"""
    numbers = np.array([[(seed, step, row)] for row in rows], np.int32)
    return dropout_keys(Batch(*[np.zeros(0)] * 5, numbers))


def alike(keys, length: int) -> Dropout:
    """For rows of one example each."""
    return Dropout(keys, jnp.ones((len(keys), length), jnp.int32))


@pytest.fixture(scope="module")
def alone():
    """Each example's logits [S, V], float64, one example a row."""
    with jax.enable_x64(True):
        c = tiny.config(dtype="float64")
        found = logits(c, tiny.weights(c), *padded(INPUTS, 16), *padded(TARGETS, 8))
    return [np.asarray(row)[: len(target)] for row, target in zip(found, TARGETS, strict=True)]


@pytest.mark.parametrize("changes", [{}, T5_1_0, {"relative_bias_per_layer": True}], ids=["1.1", "1.0", "scanned"])
def test_the_table_of_shapes_is_what_the_model_makes(changes):
    c, ids = tiny.config(**changes), jnp.ones((1, 2), jnp.int32)
    made = jax.eval_shape(T5(c).init, jax.random.key(0), ids, ids)["params"]
    shapes = {name: x.shape for name, x in flatten_dict(made, sep="/").items()}
    assert shapes == parameter_shapes(c)
    assert parameter_count(c) == sum(x.size for x in jax.tree.leaves(made))


@pytest.mark.parametrize(
    ("size", "parameters"),
    [
        ("small", 76_961_152),
        ("base", 247_577_856),
        ("large", 783_150_080),
        ("xl", 2_849_757_184),
        ("xxl", 11_135_332_352),
    ],
)
def test_the_sizes_have_the_papers_numbers_of_parameters(size, parameters):
    model, _ = config.load(BaseModel, [f"models/t5_1_1_{size}.gin"])
    assert parameter_count(model.config) == parameters


def test_packed_examples_equal_the_same_examples_alone(x64, alone):
    c, rows = tiny.config(dtype="float64"), [(0, 1), (1, 2), (2, 0)]
    found = logits(c, tiny.weights(c), *packed(INPUTS, rows, 16), *packed(TARGETS, rows, 8))
    for row, examples in zip(found, rows, strict=True):
        at = 0
        for i in examples:
            np.testing.assert_allclose(row[at : at + len(TARGETS[i])], alone[i], **FLOAT64)
            at += len(TARGETS[i])


def test_padding_changes_nothing(x64, alone):
    c = tiny.config(dtype="float64")
    longer = logits(c, tiny.weights(c), *padded([*INPUTS, []], 24), *padded([*TARGETS, []], 12))
    assert np.isfinite(longer).all()  # the row of padding only, too
    for row, expected in zip(longer, alone, strict=False):
        np.testing.assert_allclose(row[: len(expected)], expected, **FLOAT64)


def test_the_decoder_is_causal():
    c, length = tiny.CONFIG, 5
    params, ids, segments = {"params": tiny.weights()}, jnp.ones((1, 3), jnp.int32), jnp.ones((1, length), jnp.int32)

    @jax.jit
    def sensitivity(x):
        memory = T5(c).apply(params, ids, method="embed")
        return jax.jacrev(lambda x: T5(c).apply(params, x, memory, segments, ids, method="decode")[0].sum(axis=-1))(x)

    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, length, c.emb_dim)), jnp.float32)
    depends = np.any(np.asarray(sensitivity(x))[:, 0] != 0, axis=-1)  # [position of the logit, position of the input]
    np.testing.assert_array_equal(depends, np.tril(np.ones((length, length), bool)))


@pytest.mark.parametrize(
    ("bidirectional", "buckets"),
    [
        # One half of the 32 for what comes after: 0 to 7 exact, then 8 buckets for a factor of 128 / 8 = 2^4, two an octave.
        (True, {0: 0, -1: 1, -7: 7, -8: 8, -11: 8, -12: 9, -16: 10, -32: 12, -64: 14, -127: 15, -128: 15, -5000: 15}),
        (True, {1: 17, 7: 23, 8: 24, 16: 26, 32: 28, 64: 30, 127: 31, 5000: 31}),
        # All 32 for what comes before: 0 to 15 exact, then 16 buckets for a factor of 128 / 16 = 2^3.
        (False, {1: 0, 500: 0, 0: 0, -1: 1, -15: 15, -16: 16, -32: 21, -64: 26, -127: 31, -128: 31, -5000: 31}),
    ],
)
def test_relative_buckets_are_exact_up_close_and_logarithmic_further(bidirectional, buckets):
    found = relative_bucket(np.array(list(buckets)), bidirectional, 32, 128)
    assert dict(zip(buckets, found.tolist(), strict=True)) == buckets


@pytest.mark.parametrize("changes", [{}, T5_1_0], ids=["1.1", "1.0"])
def test_bfloat16_activations_keep_float32_logits(changes):
    c = tiny.config(dtype="bfloat16", **changes)
    found = logits(c, tiny.weights(c), *padded(INPUTS, 16), *padded(TARGETS, 8))
    assert found.dtype == jnp.float32
    # Logits rounded to bfloat16, and only then called float32, would all survive the rounding.
    assert np.mean(found == found.astype(jnp.bfloat16)) < 0.05


def test_an_examples_dropout_is_the_same_whatever_is_beside_it(x64):
    c = tiny.config(dtype="float64", dropout_rate=0.3)
    params, keys = tiny.weights(c), keys_of(0, 0, range(3))
    together = logits(c, params, *padded(INPUTS, 16), *padded(TARGETS, 8), keys)
    for i, target in enumerate(TARGETS):
        others = [i, *({0, 1, 2} - {i})][:2]
        rows = padded([INPUTS[k] for k in others], 24), padded([TARGETS[k] for k in others], 12)
        found = logits(c, params, *rows[0], *rows[1], keys[np.array(others)])
        np.testing.assert_allclose(found[0, : len(target)], together[i, : len(target)], **FLOAT64)
        rows = packed(INPUTS, [others[::-1]], 24), packed(TARGETS, [others[::-1]], 12)
        [found] = logits(c, params, *rows[0], *rows[1], keys[np.array(others[::-1])].T)
        start = len(TARGETS[others[1]])
        np.testing.assert_allclose(found[start : start + len(target)], together[i, : len(target)], **FLOAT64)


def test_dropout_differs_by_seed_step_and_row_but_not_by_position():
    numbers = [(seed, step, row) for seed in (0, 1) for step in (0, 1) for row in (0, 1)]
    keys = jnp.concatenate([keys_of(seed, step, [row]) for seed, step, row in numbers])
    masks = np.asarray(dropped(jnp.ones((len(keys), 4, 64)), alike(keys, 4), 0.5)) > 0
    assert (masks == masks[:, :1]).all()
    assert len({mask[0].tobytes() for mask in masks}) == len(numbers)


def test_dropout_keeps_the_expectation():
    rate, keys = 0.1, keys_of(3, 0, range(64))
    x = np.asarray(dropped(jnp.ones((64, 1, 1024)), alike(keys, 1), rate))
    np.testing.assert_allclose(np.unique(x), [0, 1 / (1 - rate)], rtol=1e-6)
    # Five standard deviations of the mean of 65,536 draws, each sqrt(0.1 / 0.9).
    assert abs(x.mean() - 1) < 5 * (rate / (1 - rate) / x.size) ** 0.5
    attention = np.asarray(kept(alike(keys, 128), rate, 8, jnp.float32))
    assert attention.shape == (64, 8, 128) and abs(attention.mean() - 1) < 5 * (rate / (1 - rate) / attention.size) ** 0.5


def test_no_rate_or_no_keys_is_no_dropout():
    x, keys = jnp.ones((2, 3, 4)), keys_of(0, 0, range(2))
    assert dropped(x, alike(keys, 3), 0.0) is x
    assert dropped(x, None, 0.5) is x
    assert kept(alike(keys, 3), 0.0, 8, x.dtype) is kept(None, 0.5, 8, x.dtype) is None


def test_products_of_rounded_operands_are_summed_in_float32_as_are_their_gradients():
    random = np.random.default_rng(0)
    x, kernel, of_y = (random.normal(size=shape).astype(np.float32) for shape in ((3, 5, 300), (300, 7), (3, 5, 7)))
    y, gradients = jax.vjp(lambda x, kernel: rounded_product(x, kernel, "bfloat16"), x, kernel)
    of_x, of_kernel = gradients(of_y)
    x, kernel, of_y = (np.asarray(jnp.asarray(a, jnp.bfloat16), np.float64) for a in (x, kernel, of_y))
    for found, expected in (
        (y, x @ kernel),
        (of_x, of_y @ kernel.T),
        (of_kernel, x.reshape(-1, 300).T @ of_y.reshape(-1, 7)),
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)  # of sums of 300 numbers; bfloat16 sums are 0.1 off


def test_rounded_operands_change_logits_by_their_rounding_alone():
    ids, targets = np.random.default_rng(0).integers(2, 64, (2, 4, 9))
    exact, rounded = (
        T5(tiny.config(operands=operands)).apply({"params": tiny.weights(tiny.config())}, ids, targets)
        for operands in (None, "bfloat16")
    )
    assert rounded.dtype == np.float32 and 0 < np.abs(exact - rounded).max() < 0.1 * np.abs(exact).max()
