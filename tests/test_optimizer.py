"""Adafactor is T5X's: against the reference trainer's own steps, and against its formulas in NumPy float64."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ptune_cli.errors import UserError
from ptune_cli.training.optimizer import SGD, Adafactor, Adam, Schedule

TRAJECTORY = Path(__file__).parent / "oracles" / "trajectory"
FILES = {0: "trajectory.npz", 1_100_000: "trajectory_from_step_1100000.npz"}


def steps(optimizer, names, params, gradients):
    """The parameters after each of the gradients."""
    transformation = optimizer.build(names)
    state = transformation.init(params)
    for gradient in gradients:
        updates, state = transformation.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        yield params


def t5x_adafactor(param, gradients, *, start, rate=0.3, decay=1e-5, factored=False, parameter_scale=False):
    """T5X's update of one array, float64, written from its formulas (a matrix factors over both axes)."""
    param = np.asarray(param, np.float64)
    v, rows, columns = np.zeros_like(param), np.zeros(param.shape[0]), np.zeros(param.shape[-1])
    for step, gradient in enumerate(np.asarray(g, np.float64) for g in gradients):
        # T5X computes this one number in float32, where 1 - 1.47e-5 is a multiple of 6e-8 away from 1.
        beta = np.float64(np.float32(1.0) - np.float32(start + step + 1) ** np.float32(-0.8))
        square = gradient**2 + 1e-30
        if factored:
            rows = beta * rows + (1 - beta) * square.mean(axis=1)
            columns = beta * columns + (1 - beta) * square.mean(axis=0)
            update = gradient * ((rows / rows.mean()) ** -0.5)[:, None] * (columns**-0.5)[None, :]
        else:
            v = beta * v + (1 - beta) * square
            update = gradient / np.sqrt(v)
        update = update / max(1.0, np.sqrt(np.mean(update**2)))
        scale = rate * max(np.sqrt(np.mean(param**2)), 1e-3) if parameter_scale else rate
        param = (1 - decay) * param - scale * update
    return param


def arrays(shape, count, seed=0):
    """A float32 parameter and `count` gradients whose size varies over four orders, as a run's do."""
    random = np.random.default_rng(seed)
    sizes = 10 ** random.uniform(-3, 1, count)
    return np.float32(random.normal(size=shape)), [np.float32(size * random.normal(size=shape)) for size in sizes]


def assert_close(actual, expected, relative):
    # Relative to the array's RMS: an element that crosses zero has no relative precision of its own.
    error = np.sqrt(np.mean((np.asarray(actual, np.float64) - expected) ** 2) / np.mean(np.square(expected)))
    assert error < relative, error


@pytest.mark.parametrize("start", FILES)
def test_two_steps_equal_the_reference_trainers(start):
    oracle = np.load(TRAJECTORY / FILES[start])
    gradients = [{"m": jnp.asarray(oracle[f"grad_{i}"])} for i in (0, 1)]
    found = list(steps(Adafactor(start_step=start), ["m"], {"m": jnp.asarray(oracle["prompt_0"])}, gradients))
    for i in (0, 1):
        # One unit in the last place of values up to 2: XLA may fuse the multiply and the add, the reference ran in another XLA.
        np.testing.assert_allclose(found[i]["m"], oracle[f"prompt_{i + 1}"], rtol=0, atol=2.4e-7)


def test_the_two_origins_are_different_optimizers():
    zero, late = (np.load(TRAJECTORY / name)["prompt_2"] for name in FILES.values())
    assert np.abs(zero - late).max() > 0.1


@pytest.mark.parametrize("start", [0, 1_100_000])
@pytest.mark.parametrize("shape", [(100, 768), (1, 512), (10, 64)])
def test_prompt_steps_equal_t5x_in_float64(shape, start):
    param, gradients = arrays(shape, 20)
    *_, found = steps(Adafactor(start_step=start), ["m"], {"m": jnp.asarray(param)}, [{"m": g} for g in gradients])
    assert_close(found["m"], t5x_adafactor(param, gradients, start=start), 1e-6)


def test_weights_with_factors_and_parameter_scale_equal_t5x_in_float64():
    shapes = {"wide": (130, 160), "tall": (160, 130), "narrow": (130, 64), "scale": (64,)}
    made = {name: arrays(shape, 20, seed) for seed, (name, shape) in enumerate(shapes.items())}
    made["narrow"] = (made["narrow"][0] * 1e-6, made["narrow"][1])  # below the least parameter scale
    nest = lambda flat: {"encoder": {"layers_0": flat}}  # noqa: E731 (weights are a nested dict)
    params = nest({name: jnp.asarray(param) for name, (param, _) in made.items()})
    gradients = [nest({name: made[name][1][i] for name in made}) for i in range(20)]
    optimizer = Adafactor(learning_rate=0.01, start_step=0, weight_decay=0.0, factored=True, parameter_scale=True)
    *_, found = steps(optimizer, None, params, gradients)
    for name, (param, grads) in made.items():
        factored = name in ("wide", "tall")
        expected = t5x_adafactor(param, grads, start=0, rate=0.01, decay=0.0, factored=factored, parameter_scale=True)
        assert_close(found["encoder"]["layers_0"][name], expected, 1e-6)


def test_factored_state_is_two_vectors():
    state = Adafactor(factored=True).build().init({"w": jnp.zeros((130, 160)), "v": jnp.zeros((127, 160))})
    sizes = sum(leaf.size for leaf in jax.tree.leaves(state))
    assert sizes < 130 + 160 + 127 * 160 + 10


OPTIMIZERS = {
    "adafactor": lambda rate: Adafactor(learning_rate=rate, schedule=Schedule(warmup_steps=5)),
    "adafactor fresh": lambda rate: Adafactor(learning_rate=rate, start_step=0),
    "parameter scale": lambda rate: Adafactor(learning_rate=rate, parameter_scale=True),
    "adam": lambda rate: Adam(learning_rate=rate, weight_decay=0.01),
    "sgd": lambda rate: SGD(learning_rate=rate, momentum=0.9, schedule=Schedule(shape="linear", decay_steps=30)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_bank_equals_its_members_alone(name):
    make = OPTIMIZERS[name]
    rates, lengths = (0.3, 0.03, 1.0), (5, 1, 20)
    with jax.enable_x64(True):
        made = {f"m{i}": arrays((length, 16), 20, seed=i) for i, length in enumerate(lengths)}
        params = {k: jnp.asarray(param, jnp.float64) for k, (param, _) in made.items()}
        gradients = [{k: jnp.asarray(made[k][1][i], jnp.float64) for k in made} for i in range(20)]
        bank = list(steps(make(rates), list(made), params, gradients))
        for member, rate in zip(made, rates, strict=True):
            alone = steps(make(rate), [member], {member: params[member]}, [{member: g[member]} for g in gradients])
            for together, single in zip(bank, alone, strict=True):
                assert together[member].dtype == jnp.float64
                assert_close(together[member], single[member], 1e-12)


def test_one_rate_for_all_equals_the_same_rate_listed():
    param, gradients = arrays((3, 8), 3)
    params, listed = {"a": jnp.asarray(param), "b": jnp.asarray(param)}, [{"a": g, "b": g} for g in gradients]
    *_, one = steps(Adafactor(learning_rate=0.3), ["a", "b"], params, listed)
    *_, two = steps(Adafactor(learning_rate=(0.3, 0.3)), ["a", "b"], params, listed)
    np.testing.assert_array_equal(one["b"], two["b"])


def test_weight_decay_is_not_multiplied_by_the_learning_rate():
    params = {"m": jnp.ones((2, 4))}
    (after,) = steps(Adafactor(learning_rate=0.0, weight_decay=0.25), ["m"], params, [{"m": jnp.ones((2, 4))}])
    np.testing.assert_array_equal(after["m"], np.full((2, 4), 0.75))
    (after,) = steps(Adam(learning_rate=0.0, weight_decay=0.25), ["m"], params, [{"m": jnp.ones((2, 4))}])
    np.testing.assert_array_equal(after["m"], np.ones((2, 4)))


def test_a_zero_gradient_moves_nothing():
    params = {"m": jnp.ones((2, 4))}
    for found in steps(Adafactor(weight_decay=0.0), ["m"], params, [{"m": jnp.zeros((2, 4))}] * 3):
        np.testing.assert_array_equal(found["m"], params["m"])


def test_sgd_and_adam_take_their_textbook_first_steps():
    params, gradient = {"m": jnp.zeros((1, 3))}, {"m": jnp.array([[1.0, -2.0, 4.0]])}
    (after,) = steps(SGD(learning_rate=0.5), ["m"], params, [gradient])
    np.testing.assert_array_equal(after["m"], [[-0.5, 1.0, -2.0]])
    (after,) = steps(Adam(learning_rate=0.5), ["m"], params, [gradient])
    # The first step is learning_rate * sign(g). 1e-5: optax takes 1 - 0.999 in float32, right to 1.3e-5, and then its root.
    np.testing.assert_allclose(after["m"], [[-0.5, 0.5, -0.5]], rtol=1e-5)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(), [2, 2, 2, 2, 2, 2]),
        (Schedule(warmup_steps=4), [0, 0.5, 1, 1.5, 2, 2]),
        (Schedule(shape="linear", decay_steps=4), [2, 1.5, 1, 0.5, 0, 0]),
        (Schedule(shape="linear", warmup_steps=1, decay_steps=5), [0, 2, 1.5, 1, 0.5, 0]),
        (Schedule(shape="linear", warmup_steps=2, hold_steps=3, decay_steps=5), [0, 1, 2, 2, 1, 0]),
        (Schedule(shape="rsqrt"), [2, 2, 2 / 2**0.5, 2 / 3**0.5, 1, 2 / 5**0.5]),
        (Schedule(shape="rsqrt", warmup_steps=4), [1, 1, 1, 1, 1, 2 / 5**0.5]),
    ],
)
def test_schedules_follow_their_formulas(schedule, expected):
    rates = [float(schedule(2.0)(jnp.int32(step))) for step in range(6)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)  # float32


def test_t5s_pretraining_schedule_is_flat_and_then_falls():
    rate = Schedule(shape="rsqrt", warmup_steps=10_000)(1.0)
    np.testing.assert_allclose([rate(jnp.int32(s)) for s in (0, 10_000, 1_000_000)], [0.01, 0.01, 0.001], rtol=1e-6)


def test_the_schedule_counts_this_runs_steps():
    gradients = [{"m": np.ones((1, 2), np.float32)}] * 3
    optimizer = Adafactor(schedule=Schedule(warmup_steps=2), start_step=1_100_000, weight_decay=0.0)
    found = [float(p["m"][0, 0]) for p in steps(optimizer, ["m"], {"m": jnp.zeros((1, 2))}, gradients)]
    # Rates 0, 0.15, 0.3 times an update that is clipped to 1.
    np.testing.assert_allclose(found, [0, -0.15, -0.45], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Adafactor(learning_rate=(0.3, 0.1)).build(["a", "b", "c"]), "lists 2 values.*has 3: a, b, c"),
        (lambda: Adam(learning_rate=()).build(["a"]), "lists 0 values"),
        (lambda: SGD(learning_rate=(0.3,)).build(), "one tree of weights"),
        (lambda: SGD(learning_rate=-1.0).build(["a"]), "learning rate -1.0"),
        (lambda: SGD(learning_rate=float("nan")).build(["a"]), "learning rate nan"),
        (lambda: Schedule(shape="linaer"), "did you mean 'linear'"),
        (lambda: Schedule(shape="linear", warmup_steps=10), "decay_steps above warmup_steps"),
        (lambda: Schedule(shape="linear", hold_steps=10, decay_steps=10), "and has 10, 0 and 10"),
        (lambda: Adafactor(start_step=-1), "start_step is -1"),
    ],
)
def test_a_bad_recipe_is_one_line(make, words):
    with pytest.raises(UserError, match=words) as error:
        make()
    assert "\n" not in str(error.value)
