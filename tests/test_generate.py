"""Decoding with a cache, ranking and beam search: what they give is what teacher forcing gives, whatever the batch."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ptune_cli.data.batch import pad
from ptune_cli.data.examples import Lengths
from ptune_cli.data.microbatches import COSTS, Cost
from ptune_cli.evaluation.predict import Predictor
from ptune_cli.prompts.bank import vectors
from ptune_cli.t5.model import T5

EOS, LENGTH = 1, 6
# So few words that random weights say EOS early, late, and never.
CONFIG = tiny.config(vocab_size=8, num_encoder_layers=1, dtype="float64")
SLOTS = -1 - np.arange(3)
RANDOM = np.random.default_rng(0)
PROMPT = RANDOM.normal(size=(3, CONFIG.emb_dim))
# Eleven inputs of 4 to 15 ids, which are padded to 8, 12 and 16.
INPUTS = [np.concatenate([SLOTS, RANDOM.integers(2, 8, n), [EOS]]) for n in (0, 10, 1, 2, 11, 3, 4, 9, 0, 8, 11)]
LABELS = np.array([[3, 1, 0, 0], [4, 5, 6, 1], [1, 0, 0, 0], [3, 2, 1, 0]], np.int32)


def predicted(params, positions, protocol, inputs=INPUTS):
    """With so many positions at once: 64 are eight rows of 8, or four of 16."""
    predict = Predictor(T5(CONFIG), Cost(positions, 0, 4_000), Lengths(13, LENGTH, 3))
    return predict(params, PROMPT, inputs, [protocol], LABELS)[protocol]


@pytest.fixture(scope="module")
def params():
    with jax.enable_x64(True):
        return tiny.weights(CONFIG, seed=29)  # of which some rows end, at several lengths, and some do not


@partial(jax.jit, static_argnums=0)
def teacher_forced(c, params, table, ids, targets):
    """The log-probabilities [B, S, V] of every next token after the ones before it, from the model without a cache."""
    apply = partial(T5(c).apply, {"params": params})
    segments, all_real = (ids != 0).astype(jnp.int32), jnp.ones_like(targets)
    memory = apply(vectors(lambda ids: apply(ids, method="embed"), table, ids), segments, method="encode")
    before = apply(jnp.pad(targets, ((0, 0), (1, 0)))[:, :-1], method="embed")
    return jax.nn.log_softmax(apply(before, memory, all_real, segments, method="decode"))


def assert_greedy(ids, log_p):
    """Each row is the likeliest token after those before it, as far as EOS, and 0 behind."""
    best = np.asarray(log_p.argmax(axis=-1))
    for row, likeliest in zip(ids, best, strict=True):
        end = list(row).index(EOS) + 1 if EOS in row else len(row)
        np.testing.assert_array_equal(row[:end], likeliest[:end])
        assert not row[end:].any()


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        ("float64", 1e-12),  # the same sums in another order, on logits of order one (seen: 2e-15)
        ("float32", 1e-5),  # the same, of 1e-7 (seen: 1e-6)
    ],
)
@pytest.mark.parametrize("queries", [1, 8])  # fewer than a head's 8 dimensions: the memory is read without keys and values
def test_cached_decoding_equals_teacher_forcing(dtype, tolerance, queries, x64):
    c = tiny.config(num_encoder_layers=1, dtype=dtype)
    params = {"params": tiny.weights(c)}
    ids = pad([[5, 9, 33, 7, 1], [50, 1], [17, 60, 1]], 8)
    targets = np.random.default_rng(1).integers(0, 64, (3, LENGTH))
    segments, empty = (ids != 0).astype(np.int32), jnp.zeros((3, c.num_heads, LENGTH, c.head_dim), dtype)
    apply = partial(T5(c).apply, params)

    @jax.jit
    def cross_of(ids):
        return apply(apply(apply(ids, method="embed"), segments, method="encode"), queries, method="cross")

    @jax.jit
    def one(token, cross, past, index):
        return apply(apply(token[:, None], method="embed"), cross, past, index, segments, method="decode_one")

    cross, past = cross_of(ids), [(empty, empty)] * c.num_decoder_layers
    expected = teacher_forced(c, params["params"], jnp.zeros((1, c.emb_dim), dtype), ids, targets)
    for index in range(LENGTH):
        logits, past = one(targets[:, index - 1] if index else np.zeros(3, int), cross, past, jnp.int32(index))
        np.testing.assert_allclose(jax.nn.log_softmax(logits), expected[:, index], rtol=0, atol=tolerance)


def test_a_batch_of_one_equals_a_batch_of_several_and_both_are_greedy(x64, params):
    """Batches of several have empty rows in them, which do no harm."""
    eight = predicted(params, 64, "greedy")
    one = predicted(params, 1, "greedy")
    np.testing.assert_array_equal(eight, one)
    assert_greedy(eight, teacher_forced(CONFIG, params, PROMPT, pad(INPUTS, 16), eight))
    ends = [list(row).index(EOS) if EOS in row else None for row in eight.tolist()]
    assert None in ends and len(set(ends)) > 2, ends  # else nothing was shown about EOS


def test_protocols_asked_for_together_say_what_each_says_alone(x64, params, ranks):
    both = Predictor(T5(CONFIG), COSTS["cpu"], Lengths(13, LENGTH, 3))(params, PROMPT, INPUTS, ["rank", "greedy"], LABELS)
    assert list(both) == ["rank", "greedy"]
    np.testing.assert_array_equal(both["rank"], ranks)
    np.testing.assert_array_equal(both["greedy"], predicted(params, 512, "greedy"))


@pytest.fixture(scope="module")
def ranks(params):
    """The log-likelihood [N, L] of each label, in batches of 32 rows or more, most of them empty."""
    with jax.enable_x64(True):
        return predicted(params, 512, "rank")


def test_log_likelihoods_are_sums_of_teacher_forced_log_probabilities(x64, params, ranks):
    for k, label in enumerate(LABELS):
        log_p = teacher_forced(CONFIG, params, PROMPT, pad(INPUTS, 16), np.tile(label, (len(INPUTS), 1)))
        expected = sum(log_p[:, s, token] for s, token in enumerate(label) if token)
        np.testing.assert_allclose(ranks[:, k], expected, rtol=0, atol=1e-12)  # as above


@pytest.mark.parametrize("positions", [1, 50])
def test_ranking_does_not_depend_on_how_much_is_computed_at_once(positions, x64, params, ranks):
    found = predicted(params, positions, "rank")
    np.testing.assert_allclose(found, ranks, rtol=0, atol=1e-12)  # as above
    np.testing.assert_array_equal(found.argmax(axis=1), ranks.argmax(axis=1))


def test_without_a_prompt_the_base_model_speaks(x64, params, ranks):
    inputs = [ids[len(SLOTS) :] for ids in INPUTS]
    found = predicted(params, 32, "rank", inputs)
    before = np.pad(LABELS, ((0, 0), (1, 0)))[:, :-1]
    call = jax.jit(T5(CONFIG).apply)
    for k, label in enumerate(LABELS):
        log_p = jax.nn.log_softmax(call({"params": params}, pad(inputs, 16), np.tile(before[k], (len(inputs), 1))))
        expected = sum(log_p[:, s, token] for s, token in enumerate(label) if token)
        np.testing.assert_allclose(found[:, k], expected, rtol=0, atol=1e-12)  # as above
    assert np.abs(found - ranks).max() > 0.1


WORDS, STEPS = 5, 3  # a vocabulary and a length of which every sequence can be tried


def score(log_p: float, length: int) -> float:
    return log_p / ((5 + length) / 6) ** 0.6


def searched(log_p, beams: int) -> tuple[int, ...]:
    """T5X's beam search over {sequence before: log-probability of each next token}, written plainly and never stopped early."""
    live, ended = [(0.0, ())], []
    for step in range(STEPS):
        grown = [(p + log_p[ids][token], (*ids, token)) for p, ids in live for token in range(WORDS)]
        best = sorted(grown, reverse=True)[: 2 * beams]
        ended = sorted(ended + [(score(p, step + 1), ids) for p, ids in best if ids[-1] == EOS], reverse=True)[:beams]
        live = [(p, ids) for p, ids in best if ids[-1] != EOS][:beams]
    return ended[0][1] if ended else live[0][1]


@pytest.fixture(scope="module")
def small():
    """Weights, inputs, and what the model thinks after every sequence: {ids: log-probabilities [WORDS]} for each input."""
    c = tiny.config(vocab_size=WORDS, num_encoder_layers=1, num_decoder_layers=1)
    params, inputs = tiny.weights(c, seed=56), [np.array([*ids, EOS]) for ids in itertools.product((2, 3, 4), repeat=3)]
    every = np.array(list(itertools.product(range(WORDS), repeat=STEPS)))
    thoughts = []
    for ids in inputs:
        rows = np.tile(pad([ids], 8), (len(every), 1))
        found = np.asarray(teacher_forced(c, params, jnp.zeros((1, c.emb_dim)), rows, every)).tolist()
        thoughts.append({tuple(e[:s]): row[s] for e, row in zip(every.tolist(), found, strict=True) for s in range(STEPS)})
    return c, params, inputs, thoughts


def beams_of(small, beams: int) -> list[tuple[int, ...]]:
    c, params, inputs, _ = small
    predict = Predictor(T5(c), COSTS["cpu"], Lengths(8, STEPS), beams)
    found = predict(params, jnp.zeros((1, c.emb_dim)), inputs, ["beam"])["beam"].tolist()
    return [tuple(row[: row.index(EOS) + 1]) if EOS in row else tuple(row) for row in found]


@pytest.mark.parametrize("beams", [1, 4])
def test_beam_search_is_the_plain_search_and_one_beam_is_not_greedy(beams, small):
    found, thoughts = beams_of(small, beams), small[-1]
    assert found == [searched(log_p, beams) for log_p in thoughts]
    # With one beam, EOS is kept aside as soon as it is the second best, and then wins.
    greedy = [
        all(np.argmax(log_p[ids[:s]]) == ids[s] for s in range(len(ids))) for ids, log_p in zip(found, thoughts, strict=True)
    ]
    assert not all(greedy)


def test_a_search_with_room_for_everything_finds_the_best_that_ends(small):
    """80 continuations of the 16 sequences that have not ended: the 40 best beams, doubled, leave none of them out."""
    thoughts, words = small[-1], [w for w in range(WORDS) if w != EOS]
    ends = [(*ids, EOS) for n in range(STEPS) for ids in itertools.product(words, repeat=n)]
    for found, log_p in zip(beams_of(small, 40), thoughts, strict=True):
        scores = {ids: score(sum(log_p[ids[:s]][token] for s, token in enumerate(ids)), len(ids)) for ids in ends}
        # As good as the best, within float32 (1e-6): two may tie.
        assert scores[found] >= max(scores.values()) - 1e-6
