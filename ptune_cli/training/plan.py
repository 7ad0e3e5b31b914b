"""What a run would take, before anything is loaded: parameters, shapes, memory. For `--dry-run`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from rich.console import Console
from rich.table import Table

from ptune_cli.data.batches import Batch, Lengths
from ptune_cli.prompts.bank import Member
from ptune_cli.t5.config import T5Config, parameter_count, parameter_shapes
from ptune_cli.t5.model import T5
from ptune_cli.training.step import Step, prompt_loss, start


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

    @classmethod
    def of(cls, config: T5Config, weights_dtype: str, bank: Sequence[Member], lengths: Lengths, rows: int, optimizer) -> "Plan":
        """Compile the step on abstract values: nothing is allocated, whatever the size of the model."""
        longest = lengths.inputs + lengths.prompt
        shapes = {name: jax.ShapeDtypeStruct(shape, weights_dtype) for name, shape in parameter_shapes(config).items()}
        params = unflatten_dict(shapes, sep="/")
        prompts = {m.name: jax.ShapeDtypeStruct((m.prompt.length, config.emb_dim), jnp.float32) for m in bank}
        names = [member.name for member in bank]
        step = Step(prompt_loss(T5(config), names, 0.0), optimizer, names)
        state = jax.eval_shape(lambda p: start(p, optimizer), prompts)
        memory = step.compile(state, params, _abstract_batch(rows, longest, lengths.targets)).memory_analysis()
        if memory is None:
            raise RuntimeError("XLA gives no account of the step's memory on this device")
        frozen, trainable = parameter_count(config), sum(m.prompt.length for m in bank) * config.emb_dim
        return cls(
            members=len(bank),
            frozen_parameters=frozen,
            trainable_parameters=trainable,
            percent_trainable=100 * trainable / (frozen + trainable),
            rows_per_microbatch=rows,
            input_length=longest,
            target_length=lengths.targets,
            weight_bytes=sum(int(np.prod(s.shape)) * s.dtype.itemsize for s in shapes.values()),
            step_bytes=memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes,
        )

    def show(self, as_json: bool) -> None:
        """Print the plan."""
        if as_json:
            print(json.dumps(asdict(self), indent=2))
            return
        table = Table(show_header=False, box=None)
        for name, value in (
            ("prompts in the bank", f"{self.members}"),
            ("frozen parameters", f"{self.frozen_parameters:,}"),
            ("trainable parameters", f"{self.trainable_parameters:,} ({self.percent_trainable:.5f}%)"),
            ("one microbatch", f"{self.rows_per_microbatch} rows x {self.input_length} positions, prompt included"),
            ("targets", f"{self.target_length} tokens"),
            ("frozen weights", f"{self.weight_bytes / 2**20:,.0f} MiB"),
            ("peak of a training step", f"{self.step_bytes / 2**20:,.0f} MiB, weights included, at the longest inputs"),
        ):
            table.add_row(name, value)
        Console().print(table)


def _abstract_batch(rows: int, length: int, targets: int) -> Batch:
    shapes = (rows, length), (rows, length), (rows, targets), (rows, targets), (rows,), (rows, 3)
    return jax.eval_shape(lambda: Batch(*(jnp.zeros(shape, jnp.int32) for shape in shapes)))
