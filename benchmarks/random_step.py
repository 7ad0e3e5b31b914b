"""ptune's own step on random weights that are made where they stay: on the device, one parameter at a time."""

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from ptune_cli.data.batch import Batch
from ptune_cli.t5.config import T5Config, parameter_shapes
from ptune_cli.t5.model import T5
from ptune_cli.t5.sharding import Placement
from ptune_cli.training.loss import Tree, prompt_loss
from ptune_cli.training.optimizer import Adafactor
from ptune_cli.training.step import Step, start

TARGETS = 4  # tokens of a target
AT_ONCE = 8  # programs that are compiled at the same time


def weights(config: T5Config) -> Tree:
    """Weights of `config.dtype`, about as large as those a training starts with; more is never held than they take."""
    shapes = parameter_shapes(config).items()
    keys = jax.random.split(jax.random.key(0), len(shapes))
    flat = {
        name: _drawn(key, shape, _deviation(name, shape, config), config.dtype)
        for key, (name, shape) in zip(keys, shapes, strict=True)
    }
    return unflatten_dict(flat, sep="/")


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _drawn(key: jax.Array, shape: tuple[int, ...], deviation: float | None, dtype: str) -> jax.Array:
    return jnp.ones(shape, dtype) if deviation is None else jax.random.normal(key, shape, dtype) * deviation


def _deviation(name: str, shape: tuple[int, ...], config: T5Config) -> float | None:
    """Of normal numbers; None is ones."""
    if name.endswith("/scale"):
        return None
    if name.endswith("embedding"):
        return 1.0
    return (shape[0] * (config.head_dim if "/query/" in name else 1)) ** -0.5


def full_batch(vocabulary: int, positions: int, prompt: int, owners: Sequence[int]) -> Batch:
    """Rows of random tokens without padding, `positions` each, a prompt of `prompt` in front: row b is `owners[b]`'s."""
    random, member = np.random.default_rng(0), np.asarray(owners, np.int32)
    ids = random.integers(3, vocabulary, (len(member), positions), np.int32)
    ids[:, :prompt] = -1 - (member[:, None] * prompt + np.arange(prompt, dtype=np.int32))
    targets = random.integers(3, vocabulary, (len(member), TARGETS), np.int32)
    examples = member[:, None], np.zeros((len(member), 1, 3), np.int32)
    return Batch(ids, np.ones_like(ids), targets, np.ones_like(targets), *examples)


class RandomStep:
    """A bank of `count` random prompts [prompt, D] over random weights, and its step with the paper's optimizer.

    Weights for a mesh are made whole before they are split.
    """

    def __init__(self, config: T5Config, prompt: int, count: int = 1, placement: Placement | None = None):
        self.config, self.prompt, self.placement = config, prompt, placement or Placement.of()
        self.names = [f"prompt-{k}" for k in range(count)]
        self.optimizer = Adafactor().build()
        self.step = Step(prompt_loss(T5(config), self.names, z_loss=0.0), self.optimizer, self.names, self.placement)
        self.params = jax.block_until_ready(self.placement.put(weights(config)))
        self.restart()

    def restart(self) -> None:
        """The first state again: a step that ran out of memory takes its state with it."""
        keys = jax.random.split(jax.random.key(1), len(self.names))
        shape = (self.prompt, self.config.emb_dim)
        prompts = {name: jax.random.normal(key, shape) for name, key in zip(self.names, keys, strict=True)}
        self.state = start(prompts, self.optimizer, self.placement)

    def batch(self, rows: int, positions: int) -> Batch:
        """`rows` full rows of each member."""
        owners = np.repeat(np.arange(len(self.names)), rows)
        return full_batch(self.config.vocab_size, positions, self.prompt, owners.tolist())

    def compile(self, batch: Batch) -> jax.stages.Compiled:
        """The program of a batch's shape, which calls then find compiled."""
        return self.step.compiled(self.state, self.params, batch)

    def compile_all(self, batches: Sequence[Batch]) -> int:
        """Compiles the programs of all shapes, some at a time; returns how many there are. One that fails fails when called."""
        shapes = {(batch.encoder_ids.shape, batch.targets.shape): batch for batch in batches}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done in [pool.submit(self.compile, batch) for batch in shapes.values()]:
                done.exception()
        return len(shapes)

    def __call__(self, batches: Sequence[Batch]) -> dict[str, jax.Array]:
        """A step's metrics; does not wait for them."""
        self.state, metrics = self.step(self.state, self.params, batches)
        return metrics
