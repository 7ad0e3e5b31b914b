"""What a run would take, before any weight is read: parameters, shapes, padding, operations, memory."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ptune_cli.base_model import BaseModel
from ptune_cli.data.batch import Batch
from ptune_cli.data.batches import SAMPLED, Batches
from ptune_cli.data.microbatches import Shape
from ptune_cli.training.step import State, Step


@dataclass(frozen=True)
class Work:
    """What a run computes, on trees of abstract arrays, so that nothing is read or allocated."""

    step: Step
    trainable: Any
    frozen: Any  # what else the model has; empty where all of it is trained
    batches: Batches
    layouts: Sequence[Callable[[np.ndarray], np.ndarray]]  # of each member

    @classmethod
    def of(cls, step: Step, trainable: Any, model: BaseModel, batches: Batches, layouts: Sequence[Callable]) -> "Work":
        """The work on a model whose frozen weights are all of them, or none if they are `trainable`."""
        return cls(step, trainable, {} if "token_embedder" in trainable else model.abstract(), batches, layouts)

    @property
    def state(self) -> State:
        """The abstract state before the first step."""
        return self.step.abstract(self.trainable)

    @property
    def model(self) -> Any:
        """The model's weights, trained or frozen."""
        return self.frozen or self.trainable

    def sampled(self) -> Iterator[list[Batch]]:
        """The first steps' microbatches, from whose lengths the shapes are chosen as well."""
        return (self.batches(t) for t in range(SAMPLED))

    def largest(self) -> Batch:
        """A microbatch of the largest shape that there may be, though the first steps may have none of it."""
        return self.batches.empty(max(self.batches.shapes, key=self.batches.cost.of))


@dataclass(frozen=True)
class Sizes:
    """Sizes of a run. Memory is XLA's own account of the compiled programs of a step in its largest microbatch."""

    members: int
    frozen_parameters: int
    trainable_parameters: int
    percent_trainable: float
    microbatches: Sequence[Mapping[str, float]]  # rows, length (prompt included), how many a step has on average
    examples_a_row: int  # at most: more than one where packing is faster
    target_length: int
    percent_padding: float  # of the positions that are computed, on average over the first steps
    step_operations: float | None  # floating-point, of a step, on average, where XLA counts them
    weight_bytes: int
    step_bytes: int  # held at most: weights, gradients, the optimizer's state and all that is worked with

    @classmethod
    def of(cls, work: Work) -> "Sizes":
        """Compile the step on abstract values: nothing is allocated, whatever the size of the model."""
        parts = [part for step in work.sampled() for part in step]
        by_shape = {Shape(*part.encoder_ids.shape): part for part in parts}
        often = Counter(Shape(*part.encoder_ids.shape) for part in parts)
        trained, frozen = _count(work.trainable), _count(work.frozen)
        state = work.state
        counted = {shape: work.step.operations(state, work.frozen, by_shape[shape]) for shape in often}
        return cls(
            members=len(work.step.names),
            frozen_parameters=frozen,
            trainable_parameters=trained,
            percent_trainable=100 * trained / (frozen + trained),
            microbatches=[
                {"rows": shape.rows, "length": shape.length, "a_step": often[shape] / SAMPLED}
                for shape in sorted(often, key=lambda shape: (shape.length, shape.rows))
            ],
            examples_a_row=work.batches.room.examples,
            target_length=work.batches.lengths.targets,
            percent_padding=_percent_padding(parts),
            step_operations=_weighted(counted, often),
            weight_bytes=sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(work.model)),
            step_bytes=work.step.memory(state, work.frozen, work.largest()),
        )


def _count(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _weighted(counted: Mapping[Shape, float | None], often: Mapping[Shape, int]) -> float | None:
    known = [count * often[shape] / SAMPLED for shape, count in counted.items() if count is not None]
    return sum(known) if len(known) == len(often) else None


def _percent_padding(parts: Sequence[Batch]) -> float:
    computed = sum(part.encoder_ids.size for part in parts)
    return 100 * (1 - sum(int(np.count_nonzero(part.encoder_segments)) for part in parts) / computed)
