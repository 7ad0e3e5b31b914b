"""Packed rows: which examples share one, and that what is learned from them is what is learned from padded rows."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from ptune_cli.data.batches import Batches
from ptune_cli.data.examples import Lengths, Source
from ptune_cli.data.microbatches import Cost
from ptune_cli.data.packing import MOST_EXAMPLES, Room, pack, room_for
from ptune_cli.prompts.bank import Prompt, layout, members, slots, table
from ptune_cli.t5.model import T5
from ptune_cli.training.loss import prompt_loss, sums
from ptune_cli.training.optimizer import Adafactor
from ptune_cli.training.step import Step, start

# Two prompts, of other lengths and places, so that rows hold examples of both.
BANK = [*members(["a"], [Prompt(length=3)], [0]), *members(["b"], [Prompt(length=5, placement="before_eos")], [7])]
NAMES = [member.name for member in BANK]
LENGTHS = Lengths(16, 4, prompt=5)
EXAMPLES = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 6)), min_size=1, max_size=12)
COST = Cost(positions=90, fixed=5, attention=100)


def batches(packing: bool | None, cost: Cost = COST) -> Batches:
    sources = [Source(tiny.Rows(seed=m.seed), m.seed, layout(m, rows)) for m, rows in zip(BANK, slots(BANK), strict=True)]
    return Batches(sources, 6, LENGTHS, cost, packing)


@settings(deadline=None, derandomize=True)
@given(examples=EXAMPLES, room=st.builds(Room, st.integers(8, 20), st.integers(4, 10), st.integers(1, 4)))
def test_every_example_is_in_one_row_that_has_room_for_it(examples, room):
    inputs, targets = zip(*examples, strict=True)
    rows = pack(inputs, targets, room)
    assert sorted(i for row in rows for i in row) == list(range(len(examples)))
    for row in rows:
        fits = sum(inputs[i] for i in row) <= room.positions and sum(targets[i] for i in row) <= room.targets
        assert (fits and len(row) <= room.examples) or len(row) == 1
    used = [sum(inputs[i] for i in row) for row in rows]
    assert used == sorted(used)


def test_no_two_rows_would_fit_in_one():
    inputs = np.random.default_rng(0).integers(4, 60, 50).tolist()
    used = [sum(inputs[i] for i in row) for row in pack(inputs, [1] * 50, Room(100, 99, 99))]
    assert all(a + b > 100 for n, a in enumerate(used) for b in used[:n])


def test_the_decoder_has_room_for_the_targets_that_were_seen_and_no_more():
    """One long target in a row is not multiplied by the number of the row's examples."""
    assert room_for([([10] * 8, [2] * 7 + [30])], positions=40, targets=32) == Room(40, 36, 4)
    assert room_for([([1] * 99, [1] * 99)], positions=99, targets=1) == Room(99, MOST_EXAMPLES, MOST_EXAMPLES)


def examples(parts) -> list:
    """The examples of a step: ids, targets, member and what their dropout depends on, in one order."""
    found = []
    for row in (row for part in parts for row in zip(*part, strict=True)):
        ids, segments, targets, target_segments, member, dropout = row
        for e in range(segments.max()):
            own = ids[segments == e + 1].tolist(), targets[target_segments == e + 1].tolist()
            found.append((*own, int(member[e]), dropout[e].tolist()))
    return sorted(found)


def test_packed_rows_hold_the_examples_of_padded_ones_in_fewer_positions():
    packed, padded = batches(True), batches(False)
    for t in range(20):
        assert examples(packed(t)) == examples(padded(t)) and len(examples(packed(t))) == 12
        assert {part.encoder_ids.shape for part in packed(t)} <= set(packed.shapes)
        assert {part.targets.shape[1:] for part in packed(t)} == {(packed.room.targets,)}
    shared = [np.count_nonzero(part.encoder_segments.max(axis=1) > 1) for part in packed(0)]
    assert sum(shared) > 2 and any(len(set(row)) > 1 for part in packed(0) for row in part.member.tolist())
    sizes = [sum(part.encoder_ids.size for t in range(20) for part in order(t)) for order in (packed, padded)]
    assert sizes[0] < sizes[1]


def test_rows_are_packed_where_that_is_cheaper():
    """Not where all are of one length, so that none is padded, and a longer row has only more pairs to attend."""
    assert batches(None).room.examples > 1
    alike = [replace(source, examples=Alike()) for source in batches(None).sources[:1]]
    assert Batches(alike, 6, Lengths(13, 4, prompt=3), COST).room.examples == 1


class Alike(tiny.Rows):
    def inputs(self, i: int) -> np.ndarray:
        return np.full(12, 7, np.int32)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-5)])
def test_packed_rows_give_the_loss_and_gradient_of_padded_ones(dtype, tolerance, x64):
    """With dropout, for the two prompts of a bank. Relative to the norms. (Seen: 3e-15 and 2e-6.)"""
    c = tiny.config(dtype=dtype, dropout_rate=0.3)
    prompts, params = tiny.first_prompts(BANK, dtype=np.dtype(dtype)), tiny.weights(c)

    @jax.jit
    def gradient(prompts, batch):
        def loss(prompts):
            found = sums(T5(c), params, table(prompts, NAMES), batch, len(NAMES), 0.01, True)
            return found.loss.sum(), found

        return jax.grad(loss, has_aux=True)(prompts)

    packed, padded = (
        jax.tree.map(lambda *parts: sum(parts), *(gradient(prompts, part) for part in batches(packing, tiny.WHOLE)(0)))
        for packing in (True, False)
    )
    for found, expected in zip(jax.tree.leaves(packed), jax.tree.leaves(padded), strict=True):
        assert found.dtype == np.dtype(dtype)
        assert jnp.linalg.norm(found - expected) <= tolerance * jnp.linalg.norm(expected)
    assert all(jnp.linalg.norm(prompt) > 0.1 for prompt in padded[0].values())


def test_two_hundred_steps_on_packed_rows_equal_those_on_padded_ones(x64):
    """With dropout and the paper's optimizer, in float64. Prompts move by about 10 in all, and every step passes on the rounding
    of those before it: after 200 steps packed and padded rows are 1.1e-8 apart, and padded rows in other microbatches 1.2e-8."""
    c = tiny.config(num_encoder_layers=1, num_decoder_layers=1, dtype="float64", dropout_rate=0.1)
    params, optimizer = tiny.weights(c), Adafactor().build(NAMES)
    step = Step(prompt_loss(T5(c), NAMES, 1e-4), optimizer, NAMES)
    ends = []
    for order in (batches(True, tiny.WHOLE), batches(False, tiny.WHOLE)):
        state = start(tiny.first_prompts(BANK, dtype=np.float64), optimizer)
        for t in range(200):
            state, metrics = step(state, params, order(t))
        ends.append(({name: np.asarray(array) for name, array in state.trainable.items()}, np.asarray(metrics["loss"])))
    (packed, loss), (padded, same) = ends
    for name, first in tiny.first_prompts(BANK, dtype=np.float64).items():
        assert np.abs(padded[name] - first).max() > 1
        np.testing.assert_allclose(packed[name], padded[name], rtol=0, atol=1e-7)
    np.testing.assert_allclose(loss, same, rtol=1e-7)
