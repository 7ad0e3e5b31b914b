"""What a run would take, before any weight is read: parameters, shapes, padding, operations, memory. For `--dry-run`."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from ptune_cli.base_model import BaseModel
from ptune_cli.data.batches import SAMPLED, Batches
from ptune_cli.file_task import shown
from ptune_cli.t5.config import parameter_count
from ptune_cli.training.step import Step


@dataclass(frozen=True)
class Plan:
    """Sizes of a run. Memory is XLA's own account of the largest microbatch's compiled program, weights included."""

    members: int
    frozen_parameters: int
    trainable_parameters: int
    percent_trainable: float
    microbatches: Sequence[Mapping[str, float]]  # rows, length (prompt included), how many a step has on average
    target_length: int
    percent_padding: float  # of the positions that are computed, on average over the first steps
    step_operations: float  # floating-point, of a step, on average; XLA's count
    weight_bytes: int
    step_bytes: int
    mixture: Mapping[str, float]  # {task: percent of the examples}, where one model is trained on several

    @classmethod
    def of(
        cls, step: Step, trainable: Any, model: BaseModel, batches: Batches, mixture: Mapping[str, float] | None = None
    ) -> "Plan":
        """Compile the step on abstract values: nothing is allocated, whatever the size of the model.

        `trainable` is the tree that is trained, of abstract arrays; what else the model has is frozen.
        """
        config, whole = model.sizes(), "token_embedder" in trainable
        frozen, state = {} if whole else model.abstract(), step.abstract(trainable)
        parts = [part for t in range(SAMPLED) for part in batches(t)]
        by_shape = {part.encoder_ids.shape: part for part in parts}
        often = Counter(part.encoder_ids.shape for part in parts)
        largest = max(batches.shapes, key=batches.cost.of)
        memory = step.compiled(state, frozen, batches.empty(largest)).memory_analysis()
        if memory is None:
            raise RuntimeError("XLA gives no account of the step's memory on this device")
        trained = sum(leaf.size for leaf in jax.tree.leaves(trainable))
        still = 0 if whole else parameter_count(config)
        computed = sum(part.encoder_ids.size for part in parts)
        return cls(
            members=len(step.names),
            frozen_parameters=still,
            trainable_parameters=trained,
            percent_trainable=100 * trained / (still + trained),
            microbatches=[
                {"rows": shape[0], "length": shape[1], "a_step": often[shape] / SAMPLED}
                for shape in sorted(often, key=lambda shape: shape[::-1])
            ],
            target_length=batches.lengths.targets,
            percent_padding=100 * (1 - sum(int(np.count_nonzero(part.encoder_segments)) for part in parts) / computed),
            step_operations=sum(step.operations(state, frozen, by_shape[shape]) * n for shape, n in often.items()) / SAMPLED,
            weight_bytes=sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((frozen, trainable if whole else {}))),
            step_bytes=memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes,
            mixture=mixture or {},
        )

    def show(self, as_json: bool) -> None:
        """Print the plan."""
        if as_json:
            print(json.dumps(asdict(self), indent=2))
            return
        parts = [f"{part['a_step']:.1f} of {part['rows']} x {part['length']}" for part in self.microbatches]
        table = Table(show_header=False, box=None)
        for name, value in (
            ("members", f"{self.members}"),
            ("frozen parameters", f"{self.frozen_parameters:,}"),
            ("trainable parameters", f"{self.trainable_parameters:,} ({self.percent_trainable:.5f}%)"),
            ("a step's microbatches", f"{', '.join(parts)} (rows x positions, prompt included)"),
            ("padding", f"{self.percent_padding:.0f}% of the positions"),
            ("targets", f"{self.target_length} tokens"),
            ("a step's operations", f"{self.step_operations / 1e9:,.1f} GFLOP"),
            ("weights", f"{self.weight_bytes / 2**20:,.0f} MiB"),
            ("peak of a training step", f"{self.step_bytes / 2**20:,.0f} MiB, weights included, in its largest microbatch"),
            *((f"share of {shown(task)}", f"{percent:.2f}%") for task, percent in self.mixture.items()),
        ):
            table.add_row(name, value)
        Console().print(table)
