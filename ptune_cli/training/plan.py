"""What a run would take, before anything is loaded: parameters, shapes, memory. For `--dry-run`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from ptune_cli.base_model import BaseModel, nested
from ptune_cli.data.batches import Batch, Lengths
from ptune_cli.file_task import shown
from ptune_cli.t5.config import parameter_count, parameter_shapes
from ptune_cli.training.step import Step, start


@dataclass(frozen=True)
class Plan:
    """Sizes of a run. The memory is XLA's own account of the compiled step at the longest length, weights included."""

    members: int
    frozen_parameters: int
    trainable_parameters: int
    percent_trainable: float
    rows_per_microbatch: int
    input_length: int  # the prompt included
    target_length: int
    weight_bytes: int
    step_bytes: int
    mixture: Mapping[str, float]  # {task: percent of the examples}, where one model is trained on several

    @classmethod
    def of(
        cls, step: Step, trainable: Any, model: BaseModel, lengths: Lengths, rows: int, mixture: Mapping[str, float] | None = None
    ) -> "Plan":
        """Compile the step on abstract values: nothing is allocated, whatever the size of the model.

        `trainable` is the tree that is trained, of abstract arrays; what else the model has is frozen.
        """
        config, whole = model.sizes(), "token_embedder" in trainable
        shapes = {name: jax.ShapeDtypeStruct(shape, model.weights_dtype) for name, shape in parameter_shapes(config).items()}
        frozen = {} if whole else nested(shapes)
        longest = lengths.inputs + lengths.prompt
        state = jax.eval_shape(lambda tree: start(tree, step.optimizer), trainable)
        memory = step.compile(state, frozen, _abstract_batch(rows, longest, lengths.targets)).memory_analysis()
        if memory is None:
            raise RuntimeError("XLA gives no account of the step's memory on this device")
        trained = sum(leaf.size for leaf in jax.tree.leaves(trainable))
        still = 0 if whole else parameter_count(config)
        return cls(
            members=len(step.names),
            frozen_parameters=still,
            trainable_parameters=trained,
            percent_trainable=100 * trained / (still + trained),
            rows_per_microbatch=rows,
            input_length=longest,
            target_length=lengths.targets,
            weight_bytes=sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((frozen, trainable if whole else {}))),
            step_bytes=memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes,
            mixture=mixture or {},
        )

    def show(self, as_json: bool) -> None:
        """Print the plan."""
        if as_json:
            print(json.dumps(asdict(self), indent=2))
            return
        table = Table(show_header=False, box=None)
        for name, value in (
            ("members", f"{self.members}"),
            ("frozen parameters", f"{self.frozen_parameters:,}"),
            ("trainable parameters", f"{self.trainable_parameters:,} ({self.percent_trainable:.5f}%)"),
            ("one microbatch", f"{self.rows_per_microbatch} rows x {self.input_length} positions, prompt included"),
            ("targets", f"{self.target_length} tokens"),
            ("weights", f"{self.weight_bytes / 2**20:,.0f} MiB"),
            ("peak of a training step", f"{self.step_bytes / 2**20:,.0f} MiB, weights included, at the longest inputs"),
            *((f"share of {shown(task)}", f"{percent:.2f}%") for task, percent in self.mixture.items()),
        ):
            table.add_row(name, value)
        Console().print(table)


def _abstract_batch(rows: int, length: int, targets: int) -> Batch:
    shapes = (rows, length), (rows, length), (rows, targets), (rows, targets), (rows,), (rows, 3)
    return jax.eval_shape(lambda: Batch(*(jnp.zeros(shape, jnp.int32) for shape in shapes)))
