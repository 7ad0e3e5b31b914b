"""The training step: what moves, what does not, and that banks, microbatches and dropout change nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from ptune_cli.prompts.bank import table
from ptune_cli.t5.model import T5
from ptune_cli.training.optimizer import SGD, Adafactor, Adam
from ptune_cli.training.step import Step, prompt_loss, start, sums, weight_loss

FLOAT64 = tiny.config(dtype="float64")
# Adafactor divides by a running RMS, which multiplies float64's 1e-16 a few thousand times over five steps.
EXACT = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def test_only_prompts_change():
    own = tiny.bank(seeds=(0, 1))
    params = tiny.weights()
    before = jax.tree.map(lambda x: np.array(x).tobytes(), params)
    names = [m.name for m in own]
    optimizer = Adafactor().build(names)
    step = Step(prompt_loss(T5(tiny.CONFIG), names, 1e-4), optimizer, names)
    state = start(tiny.first_prompts(own), optimizer)
    first = {name: np.array(prompt) for name, prompt in state.trainable.items()}
    for t in range(5):
        state, _ = step(state, params, tiny.batches(own)(t))
    assert jax.tree.map(lambda x: np.array(x).tobytes(), params) == before
    assert set(state.trainable) == set(names)
    assert all(not np.array_equal(state.trainable[name], first[name]) for name in names)


@pytest.mark.parametrize(
    ("optimizer", "dropout"),
    [(Adafactor(), 0.3), (Adafactor(start_step=0), 0.0), (Adam(learning_rate=0.1), 0.3)],
    ids=["adafactor as restored, dropout", "adafactor from 0", "adam, dropout"],
)
def test_a_bank_equals_its_members_trained_alone(optimizer, dropout, x64):
    config = tiny.config(dtype="float64", dropout_rate=dropout)
    own = tiny.bank(lengths=(2, 5), seeds=(0, 7))
    together = tiny.run(own, optimizer, 5, config, dtype=np.float64)
    for member in own:
        alone = tiny.run([member], optimizer, 5, config, dtype=np.float64)
        np.testing.assert_allclose(together.trainable[member.name], alone.trainable[member.name], **EXACT)


def test_microbatches_give_the_same_update(x64):
    config = tiny.config(dtype="float64", dropout_rate=0.3)
    own = tiny.bank(seeds=(0, 1))

    def trained(microbatches: int):
        return tiny.run(own, Adafactor(), 4, config, lambda bank: tiny.batches(bank, 4, microbatches), np.float64).trainable

    whole = trained(1)
    for microbatches in (2, 4):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **EXACT), whole, trained(microbatches))


def test_dropout_differs_by_seed_and_step_and_vanishes_at_rate_zero(x64):
    own = tiny.bank()
    prompts, params = table(tiny.first_prompts(own, dtype=np.float64), [own[0].name]), tiny.weights(FLOAT64)
    (batch,) = tiny.batches(own)(0)

    def loss(rate: float, seed: int = 0, step: int = 0) -> float:
        numbers = np.array(batch.dropout)
        numbers[:, 0], numbers[:, 1] = seed, step
        model = T5(tiny.config(dtype="float64", dropout_rate=rate))
        return float(sums(model, params, prompts, batch._replace(dropout=numbers), 1, 0.0, True).loss[0])

    assert len({loss(0.3), loss(0.3, seed=1), loss(0.3, step=1), loss(0.0)}) == 4
    assert loss(0.3) == loss(0.3)
    assert loss(0.0) == loss(0.0, seed=1)


def test_each_member_has_its_own_learning_rate(x64):
    own = tiny.bank(seeds=(0, 1))
    rates = tiny.run(own, SGD(learning_rate=(0.1, 0.0)), 3, FLOAT64, dtype=np.float64).trainable
    first, still = own
    np.testing.assert_array_equal(rates[still.name], tiny.first_prompts([still], dtype=np.float64)[still.name])
    alone = tiny.run([first], SGD(learning_rate=0.1), 3, FLOAT64, dtype=np.float64).trainable
    np.testing.assert_allclose(rates[first.name], alone[first.name], **EXACT)


def test_the_loss_is_a_plain_sum_of_cross_entropy_and_z_loss(x64):
    own = tiny.bank()
    params, model = tiny.weights(FLOAT64), T5(FLOAT64)
    (batch,) = tiny.batches(own)(0)
    prompts = table(tiny.first_prompts(own, dtype=np.float64), [own[0].name])
    found = sums(model, params, prompts, batch, 1, 0.01, False)
    expected = 0.0
    for ids, targets in zip(batch.encoder_ids, batch.targets, strict=True):
        ids, targets = ids[ids != 0], targets[targets != 0]

        def apply(method, *args):
            return model.apply({"params": params}, *args, method=method)

        vectors = jnp.stack([prompts[-i - 1] if i < 0 else params["token_embedder"]["embedding"][i] for i in ids])[None]
        ones = np.ones((1, len(ids)), np.int32), np.ones((1, len(targets)), np.int32)
        memory = apply("encode", vectors, ones[0])
        y = apply("embed", np.concatenate([[0], targets[:-1]])[None])
        logits = np.asarray(apply("decode", y, memory, ones[1], ones[0]))[0]
        log_z = np.log(np.exp(logits).sum(axis=1))
        expected += (log_z - logits[np.arange(len(targets)), targets] + 0.01 * log_z**2).sum()
    assert float(found.loss[0]) == pytest.approx(expected, rel=1e-10)
    assert float(found.tokens[0]) == np.count_nonzero(batch.targets)


def test_a_loss_that_is_not_finite_freezes_the_last_good_state():
    own = tiny.bank(seeds=(0, 1))
    names, params = [m.name for m in own], tiny.weights()
    optimizer = Adafactor().build(names)
    step = Step(prompt_loss(T5(tiny.CONFIG), names, 1e-4), optimizer, names)
    state, _ = step(start(tiny.first_prompts(own), optimizer), params, tiny.batches(own)(0))
    good = jax.tree.map(np.array, state)
    poisoned = jax.tree.map(lambda x: x * jnp.nan, params)
    state, metrics = step(state, poisoned, tiny.batches(own)(1))
    assert not metrics["finite"].any() and int(state.failed_at) == 1
    state, _ = step(state, params, tiny.batches(own)(2))  # dispatched before the host has seen the failure
    assert int(state.step) == 1 and int(state.failed_at) == 1
    jax.tree.map(np.testing.assert_array_equal, good.trainable, jax.tree.map(np.array, state.trainable))
    jax.tree.map(np.testing.assert_array_equal, good.optimizer, jax.tree.map(np.array, state.optimizer))


def test_weights_train_when_they_are_the_trainable_tree():
    own = tiny.bank()
    optimizer = Adam(learning_rate=1e-2).build(None)
    step = Step(weight_loss(T5(tiny.CONFIG), 0.0), optimizer, ["model"])
    state, losses = start(tiny.weights(), optimizer), []
    batch = [b._replace(encoder_ids=np.maximum(b.encoder_ids, 0)) for b in tiny.batches(own)(0)]
    for _ in range(20):
        state, metrics = step(state, {}, batch)
        losses.append(float(metrics["loss"][0]))
    assert losses[-1] < 0.5 * losses[0]


def test_the_prompt_step_computes_no_weight_gradients():
    """0.72: two passes of three, and what attention adds. A gradient of the weights would make it 1.0."""
    config = tiny.config(vocab_size=512, emb_dim=64, head_dim=16, num_heads=4, mlp_dim=128)
    own = tiny.bank(lengths=(4,))
    model, params = T5(config), tiny.weights(config)
    (batch,) = tiny.batches(own, size=32)(0)

    def flops(loss, trainable, frozen, names) -> float:
        optimizer = SGD().build(None)
        step = Step(loss, optimizer, names)
        return step.compile(start(trainable, optimizer), frozen, batch).cost_analysis()["flops"]

    names = [own[0].name]
    prompt_step = flops(prompt_loss(model, names, 0.0), tiny.first_prompts(own, 64), params, names)
    full_step = flops(weight_loss(model, 0.0), params, {}, ["model"])
    print(f"{prompt_step / full_step:.3f}")
    assert prompt_step <= 0.72 * full_step
