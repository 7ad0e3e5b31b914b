"""One training step: the loss of every member, the gradient of the trainable tree only, the update.

Two trees, never one tree with a mask. `jax.grad` sees the trainable argument; the frozen weights are another argument and
get no gradient buffers. Prompt tuning trains a dict of prompts; pre-training and model tuning run the same step with the
weights as the trainable tree.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ptune_cli.data.batch import Batch
from ptune_cli.t5.sharding import Placement
from ptune_cli.training.loss import Sums, Tree
from ptune_cli.training.programs import Lowering, Programs


class State(NamedTuple):
    """What a run learns and must save: kilobytes for prompts, whatever the size of the model."""

    step: jax.Array  # int32, updates done
    trainable: Tree
    optimizer: Tree
    # int32: the first step whose loss, gradient or update was not finite, or -1; from there on nothing moves.
    failed_at: jax.Array


def start(trainable: Tree, optimizer: optax.GradientTransformation, placement: Placement | None = None) -> State:
    """The state before the first step, on one device or placed on a mesh."""
    placement = placement or Placement.of()
    trainable = placement.put(trainable)
    shardings = placement.shardings(jax.eval_shape(optimizer.init, trainable))
    zero, minus_one = placement.put((np.int32(0), np.int32(-1)))  # jnp's zeros are a program of XLA's for each shape
    return State(zero, trainable, jax.jit(optimizer.init, out_shardings=shardings)(trainable), minus_one)


class Step:
    """The compiled step. `loss` maps (trainable, frozen, batch) to `Sums`; all members' losses are summed, and as each
    row belongs to one member, the gradients separate by themselves.

    A program is compiled once for each shape of a microbatch: all calls of one step are to be for trees of the same arrays.
    On a mesh each device computes its part of a microbatch's rows, whose number the data axis divides, with its part of the
    weights."""

    def __init__(
        self,
        loss: Callable[[Tree, Tree, Batch], Sums],
        optimizer: optax.GradientTransformation,
        names: Sequence[str],
        placement: Placement | None = None,
    ):
        self.loss, self.optimizer, self.names, self.placement = loss, optimizer, tuple(names), placement or Placement.of()
        self._programs = Programs()
        self._adding: Any = None  # one function for all shapes: what is traced to count operations is not traced again to compile

    def __call__(self, state: State, frozen: Tree, batches: Sequence[Batch]) -> tuple[State, dict[str, jax.Array]]:
        """One update from a step's microbatches. Returns the new state and metrics, [K] each; does not wait for them."""
        total = self._programs("zeros", lambda: self._zeros(state))(state.trainable)
        for batch in map(self.placement.put_rows, batches):
            total = self.compiled(state, frozen, batch)(total, state.trainable, frozen, batch)
        return self._programs("update", lambda: self._update(state))(state, total)

    def ahead(self, trainable: Tree, frozen: Tree, batches: Iterable[Batch]) -> AbstractContextManager[None]:
        """Compiles, in threads while the body runs, what steps take whose microbatches have the shapes of these.

        `trainable` and `frozen` may be trees of abstract arrays: no weight need be read yet.
        """
        state = self.abstract(trainable)
        programs: dict[Hashable, Lowering] = {"zeros": lambda: self._zeros(state), "update": lambda: self._update(state)}
        programs.update({_key(batch): partial(self._add, state, frozen, batch) for batch in batches})
        return self._programs.ahead(programs)

    def abstract(self, trainable: Tree) -> State:
        """The state of abstract arrays that begins with this tree, itself real or abstract."""
        number: Any = jax.ShapeDtypeStruct((), np.int32)
        optimizer = jax.eval_shape(self.optimizer.init, trainable)
        return self.placement.abstract(State(number, trainable, optimizer, number))

    def compiled(self, state: State, frozen: Tree, batch: Batch) -> jax.stages.Compiled:
        """A microbatch's program, from real or abstract arguments. It adds its gradient and sums to those it is given."""
        return self._programs(_key(batch), partial(self._add, state, frozen, batch))

    def operations(self, state: State, frozen: Tree, batch: Batch) -> float | None:
        """Floating-point operations of one microbatch, as XLA counts them before it optimises; None where it does not (GPUs)."""
        analysis = self._add(state, frozen, batch).cost_analysis()
        return analysis["flops"] if analysis else None

    def memory(self, state: State, frozen: Tree, batch: Batch) -> int:
        """Bytes of a device that a step of such microbatches holds at most, by XLA's account, from abstract arguments.

        What the other program keeps is counted with each. RuntimeError where XLA gives no account.
        """
        placed = self.placement.bytes
        adding = _held(self.compiled(state, frozen, batch)) + placed(state.optimizer)
        return max(adding, _held(self._programs("update", lambda: self._update(state))) + placed(frozen))

    def _zeros(self, state: State) -> jax.stages.Lowered:
        total, _ = self._abstract(state)
        trainable = self.placement.abstract(state.trainable)
        return jax.jit(self._nothing, out_shardings=_shardings(total)).lower(trainable)

    def _add(self, state: State, frozen: Tree, batch: Batch) -> jax.stages.Lowered:
        total, trainable = self._abstract(state)
        self._adding = self._adding or jax.jit(self._accumulate, donate_argnums=0, out_shardings=_shardings(total))
        return self._adding.lower(total, trainable, self.placement.abstract(frozen), self.placement.abstract_rows(batch))

    def _update(self, state: State) -> jax.stages.Lowered:
        total, _ = self._abstract(state)
        state = self.placement.abstract(state)
        program = jax.jit(self._apply, donate_argnums=0, out_shardings=(_shardings(state), self.placement.everywhere))
        return program.lower(state, total)

    def _abstract(self, state: State) -> tuple[tuple[Tree, Sums], Tree]:
        """Abstract arrays, placed: of what microbatches are summed into, and of what is trained."""
        gradient, found = jax.eval_shape(self._nothing, state.trainable)
        return (self.placement.abstract(gradient), self.placement.abstract(found)), self.placement.abstract(state.trainable)

    def _nothing(self, trainable: Tree) -> tuple[Tree, Sums]:
        return jax.tree.map(jnp.zeros_like, trainable), Sums(*(jnp.zeros(len(self.names)) for _ in Sums._fields))

    def _accumulate(self, total, trainable, frozen, batch):
        def objective(trainable):
            found = self.loss(trainable, frozen, batch)
            return found.loss.sum(), found

        gradient, found = jax.grad(objective, has_aux=True)(trainable)
        return jax.tree.map(lambda a, b: a + b.astype(a.dtype), total, (gradient, found))

    def _apply(self, state: State, total):
        gradient, found = total
        norms = self._norms(gradient)
        updates, optimizer = self.optimizer.update(gradient, state.optimizer, state.trainable)
        moved = state.step + 1, optax.apply_updates(state.trainable, updates), optimizer
        # The update too: a learning rate may throw a prompt to infinity on a gradient that is finite.
        finite = jnp.isfinite(found.loss) & jnp.isfinite(norms) & jnp.isfinite(self._norms(moved[1]))
        go = jnp.all(finite) & (state.failed_at < 0)
        kept = state.step, state.trainable, state.optimizer
        step, trainable, optimizer = jax.tree.map(lambda new, old: jnp.where(go, new, old), moved, kept)
        failed_at = jnp.where(go | (state.failed_at >= 0), state.failed_at, state.step)
        metrics = {
            "loss": found.loss / found.tokens,
            "token_accuracy": found.correct / found.tokens,
            "gradient_norm": norms,
            "tokens": found.tokens,
            "finite": finite,
        }
        return State(step, trainable, optimizer, failed_at), metrics

    def _norms(self, tree) -> jax.Array:
        """The norm of a gradient or of what is trained, [K] for a bank, [1] for a tree of weights."""
        if len(self.names) > 1 or set(tree) == set(self.names):
            return jnp.stack([jnp.linalg.norm(tree[name]) for name in self.names])
        return optax.tree.norm(tree)[None]


def _key(batch: Batch) -> tuple:
    return tuple(ids.shape for ids in batch)


def _shardings(tree: Tree) -> Tree:
    return jax.tree.map(lambda leaf: leaf.sharding, tree)


def _held(program: jax.stages.Compiled) -> int:
    """Arguments, results and what is worked with; results that take over the memory of arguments once."""
    found = program.memory_analysis()
    if found is None:
        raise RuntimeError("XLA gives no account of the step's memory on this device")
    held = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return held - found.alias_size_in_bytes
