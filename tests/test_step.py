"""The training step: what moves, what does not, and that banks, microbatches and packing change nothing else."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from ptune_cli.data.examples import Lengths
from ptune_cli.data.microbatches import Cost
from ptune_cli.prompts.bank import Prompt, members, table
from ptune_cli.t5.config import parameter_count
from ptune_cli.t5.model import T5
from ptune_cli.training.loss import prompt_loss, shift_right, sums, weight_loss
from ptune_cli.training.optimizer import SGD, Adafactor, Adam
from ptune_cli.training.step import Step, start

Z_LOSS = 0.01
SMALL = tiny.config(num_encoder_layers=1, num_decoder_layers=1)
DROPPING = tiny.config(num_encoder_layers=1, num_decoder_layers=1, dtype="float64", dropout_rate=0.3)
RATES = (0.3, 0.1)
OPTIMIZERS = {
    "adafactor as restored": lambda rate: Adafactor(learning_rate=rate),
    "adafactor from step 0": lambda rate: Adafactor(learning_rate=rate, start_step=0),
    "adam": lambda rate: Adam(learning_rate=rate),
    "sgd": lambda rate: SGD(learning_rate=rate, momentum=0.9),
}
# One prompt each: other lengths, places, seeds, so other padding, other data and other dropout.
BANK = [
    *members(["rows"], [Prompt(length=2)], [0]),
    *members(["rows"], [Prompt(length=5, placement="before_eos")], [7]),
]


def one_of(transformations) -> optax.GradientTransformation:
    """Any of several optimizers, chosen by a number in the state: one compilation for all of them."""

    def init(params):
        return jnp.int32(0), tuple(t.init(params) for t in transformations)

    def update(gradient, state, params):
        def branch(k):
            updates, new = transformations[k].update(gradient, state[1][k], params)
            return updates, (*state[1][:k], new, *state[1][k + 1 :])

        updates, states = jax.lax.switch(state[0], [partial(branch, k) for k in range(len(transformations))])
        return updates, (state[0], states)

    return optax.GradientTransformation(init, update)


class Trainer:
    """A compiled step for a bank, and runs of it from the same beginning."""

    def __init__(self, own, optimizers, c, dtype=np.float32):
        self.names = [m.name for m in own]
        self.own, self.width, self.dtype, self.params = own, c.emb_dim, dtype, tiny.weights(c)
        self.step = Step(prompt_loss(T5(c), self.names, Z_LOSS), one_of([o.build(self.names) for o in optimizers]), self.names)

    def start(self, optimizer: int = 0):
        state = start(tiny.first_prompts(self.own, self.width, self.dtype), self.step.optimizer)
        return state._replace(optimizer=(jnp.int32(optimizer), state.optimizer[1]))

    def batches(self, cost: Cost = tiny.WHOLE):
        return tiny.batches(self.own, 4, Lengths(8, 4, max(m.prompt.length for m in self.own)), cost)

    def run(self, optimizer: int = 0, steps: int = 6, cost: Cost = tiny.WHOLE):
        state, batches = self.start(optimizer), self.batches(cost)
        for t in range(steps):
            state, _ = self.step(state, self.params, batches(t))
        return jax.tree.map(np.array, state)


@pytest.fixture(scope="module")
def together():
    with jax.enable_x64(True):
        return Trainer(BANK, [make(RATES) for make in OPTIMIZERS.values()], DROPPING, np.float64)


@pytest.fixture(scope="module")
def alone():
    with jax.enable_x64(True):
        made = [[make(rate) for make in OPTIMIZERS.values()] for rate in RATES]
        return [Trainer([member], each, DROPPING, np.float64) for member, each in zip(BANK, made, strict=True)]


@pytest.fixture(scope="module")
def seeds():
    """Two seeds of a prompt, float32: the default optimizer, and a learning rate that no prompt survives."""
    return Trainer(tiny.bank(seeds=(0, 1)), [Adafactor(), SGD(learning_rate=1e38)], SMALL)


def assert_same(found, expected, tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance), found, expected)


# Prompts move by one or more in all. Sums over other padding and another order of rows differ by 1e-16; Adam and Adafactor
# divide each element of the gradient by its own size, so one 1e4 times smaller than the largest knows 1e4 times less; and
# each step starts from where the one before it ended. (Seen: 1e-14; 6e-5 in float32.)
REORDERED = 1e-11


@pytest.mark.parametrize("optimizer", range(len(OPTIMIZERS)), ids=list(OPTIMIZERS))
def test_a_bank_equals_its_members_trained_alone(optimizer, x64, together, alone):
    """Each at its own learning rate, with dropout, which depends on the member's own numbers only."""
    bank = together.run(optimizer)
    first = together.start().trainable
    for trainer in alone:
        (name,) = trainer.names
        assert bank.trainable[name].dtype == np.float64
        assert np.abs(bank.trainable[name] - first[name]).max() > 0.1
        assert_same(bank.trainable[name], trainer.run(optimizer).trainable[name], REORDERED)


@pytest.mark.parametrize("positions", [1, 30, 60])
def test_microbatches_give_the_same_update(positions, x64, together):
    cost = Cost(positions, fixed=0, attention=100)
    assert len(together.batches(cost)(0)) > len(together.batches()(0)) == 1
    assert_same(together.run(steps=2, cost=cost), together.run(steps=2), REORDERED)


def test_training_drops_by_seed_step_and_row(x64, together):
    (batch,) = together.batches()(0)
    losses = []
    for column in (None, 0, 1, 2):
        numbers = np.array(batch.dropout)
        if column is not None:
            numbers[..., column] += 100
        _, metrics = together.step(together.start(), together.params, [batch._replace(dropout=numbers)])
        losses.append(np.array(metrics["loss"]))
    for k in range(len(BANK)):
        assert len({loss[k] for loss in losses}) == 4


def test_only_prompts_change(seeds):
    before = jax.tree.map(lambda x: np.array(x).tobytes(), seeds.params)
    first, state = seeds.start().trainable, seeds.run()
    assert jax.tree.map(lambda x: np.array(x).tobytes(), seeds.params) == before
    assert state.step == 6 and state.failed_at == -1 and set(state.trainable) == set(seeds.names)
    for name, prompt in state.trainable.items():
        assert prompt.shape == (3, 16) and np.all(prompt != first[name])


def test_the_loss_is_a_plain_sum_of_cross_entropy_and_z_loss(x64, together):
    """Against NumPy, for each member of a bank. Without `train` there is no dropout."""
    (batch,) = together.batches()(0)
    prompts, params = table(together.start().trainable, together.names), together.params
    found = jax.jit(lambda batch: sums(T5(DROPPING), params, prompts, batch, len(BANK), Z_LOSS, False))(batch)

    embedding = np.asarray(params["token_embedder"]["embedding"])
    # Both tables in one: a negative index counts from the end, where the prompts' rows stand in reverse.
    vectors = np.concatenate([embedding, np.asarray(prompts)[::-1]])[batch.encoder_ids]

    @jax.jit
    def forward(vectors, batch):
        apply = partial(T5(DROPPING).apply, {"params": params})
        memory = apply(vectors, batch.encoder_segments, method="encode")
        before = apply(shift_right(batch.targets, batch.target_segments), method="embed")
        return apply(before, memory, batch.target_segments, batch.encoder_segments, method="decode")

    logits = np.asarray(forward(vectors, batch))
    for k in range(len(BANK)):
        loss, correct, tokens = 0.0, 0, 0
        for row, targets in zip(logits[batch.member[:, 0] == k], batch.targets[batch.member[:, 0] == k], strict=True):
            for z, target in zip(row, targets[targets > 0], strict=False):
                log_z = np.log(np.exp(z).sum())
                loss += log_z - z[target] + Z_LOSS * log_z**2
                correct, tokens = correct + (z.argmax() == target), tokens + 1
        assert float(found.loss[k]) == pytest.approx(loss, rel=1e-13)  # sums of a dozen terms (seen: 2e-16)
        assert (found.correct[k], found.tokens[k]) == (correct, tokens)


def test_the_state_stays_as_it_was_before_the_first_loss_that_is_not_finite(seeds):
    good, batches = seeds.run(steps=2), seeds.batches()
    state = jax.tree.map(jnp.asarray, good)
    poisoned = jax.tree.map(lambda x: x * jnp.nan, seeds.params)
    # After the failure come steps that the host dispatched before it read of it: a bad one and a good one.
    for t, params in ((2, poisoned), (3, poisoned), (4, seeds.params)):
        state, metrics = seeds.step(state, params, batches(t))
        assert metrics["finite"].all() == (t == 4)
    assert int(state.failed_at) == 2 and int(state.step) == 2
    jax.tree.map(np.testing.assert_array_equal, state._replace(failed_at=good.failed_at), good)


def test_the_member_that_failed_is_named_and_no_member_moves(seeds):
    state = seeds.start()
    prompts = {**state.trainable, seeds.names[1]: jnp.full((3, 16), jnp.inf, jnp.float32)}
    state, metrics = seeds.step(state._replace(trainable=prompts), seeds.params, seeds.batches()(0))
    assert metrics["finite"].tolist() == [True, False] and int(state.failed_at) == 0
    np.testing.assert_array_equal(state.trainable[seeds.names[0]], seeds.start().trainable[seeds.names[0]])


def test_an_update_to_infinity_is_not_taken(seeds):
    state, metrics = seeds.step(seeds.start(optimizer=1), seeds.params, seeds.batches()(0))
    assert np.isfinite(metrics["loss"]).all() and not metrics["finite"].any() and int(state.failed_at) == 0
    jax.tree.map(np.testing.assert_array_equal, state.trainable, seeds.start().trainable)


def test_weights_train_when_they_are_the_trainable_tree():
    optimizer = Adam(learning_rate=1e-2).build(None)
    step = Step(weight_loss(T5(SMALL), 0.0), optimizer, ["model"])
    (batch,) = tiny.batches(tiny.bank(), lengths=Lengths(8, 4, prompt=3))(0)
    batch = batch._replace(encoder_ids=np.maximum(batch.encoder_ids, 0))
    first, state, losses = tiny.weights(SMALL), start(tiny.weights(SMALL), optimizer), []
    for _ in range(20):
        state, metrics = step(state, {}, [batch])
        losses.append(float(metrics["loss"][0]))
    assert losses[-1] < 0.5 * losses[0]
    changed = jax.tree.map(lambda new, old: bool((new != old).any()), state.trainable, first)
    assert all(jax.tree.leaves(changed))


@pytest.mark.parametrize("operands", [None, "bfloat16"])
def test_the_prompt_step_computes_no_weight_gradients(operands):
    """By XLA's account of FLOPs and memory, where weights are many and activations few."""
    sizes = {"emb_dim": 128, "head_dim": 32, "num_heads": 4, "mlp_dim": 512, "num_encoder_layers": 1, "num_decoder_layers": 1}
    c = tiny.config(vocab_size=512, operands=operands, **sizes)
    own = tiny.bank(lengths=(4,))
    names, model, params, bytes_of_weights = [own[0].name], T5(c), tiny.weights(c), 4 * parameter_count(c)
    (batch,) = tiny.batches(own)(0)

    def compiled(loss, trainable, frozen, names):
        optimizer = SGD().build(None)
        return Step(loss, optimizer, names).compiled(start(trainable, optimizer), frozen, batch)

    prompt = compiled(prompt_loss(model, names, 0.0), tiny.first_prompts(own, 128), params, names)
    whole = compiled(weight_loss(model, 0.0), params, {}, ["model"])
    # Two passes of three, one forward and two back, and what attention adds (seen: 0.66).
    assert prompt.cost_analysis()["flops"] <= 0.72 * whole.cost_analysis()["flops"]
    gradient, _ = jax.tree.unflatten(prompt.out_tree, range(prompt.out_tree.num_leaves))
    assert list(gradient) == names
    assert whole.memory_analysis().output_size_in_bytes > bytes_of_weights
    assert prompt.memory_analysis().output_size_in_bytes < 4 * 4 * 128 + 1024  # the prompt's gradient, and the sums
    rounded = 0.5 if operands else 0.0  # a copy of the weights in half as many bytes
    assert prompt.memory_analysis().temp_size_in_bytes < (0.5 + rounded) * bytes_of_weights
