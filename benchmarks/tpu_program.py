"""What the TPU's own compiler makes of a step of prompt tuning on a slice that is not here: bytes sent and held by a chip.

    pip install --no-deps --target build/libtpu 'libtpu==0.0.42.*'  # the version that jax[tpu] names
    PYTHONPATH=build/libtpu python -m benchmarks.tpu_program xl v5litepod-16 data=4,model=4

libtpu compiles for a topology by name, on any Linux machine. The step is that of benchmarks/pod_table.py, whose formula is told
beside what the program has: on TPUs `merged` is the one to read. Nothing runs, so this says nothing of time.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh

from benchmarks.collectives import sent
from benchmarks.model_sizes import NAMES, config_of
from benchmarks.random_step import TARGETS, full_batch
from benchmarks.step_results import machine
from benchmarks.step_traffic import Shape, sent_by_step
from ptune_cli.base_model import nested
from ptune_cli.launchers.accelerators import Accelerator, lookup
from ptune_cli.mesh import WRITTEN
from ptune_cli.t5.config import T5Config, parameter_shapes
from ptune_cli.t5.model import T5
from ptune_cli.t5.sharding import DATA, MODEL, Placement
from ptune_cli.training.loss import prompt_loss
from ptune_cli.training.optimizer import Adafactor
from ptune_cli.training.step import Step

ROOT = Path(__file__).parents[1]
SHAPE = Shape(rows=32, positions=612, targets=TARGETS, prompt=100)


def devices(accelerator: Accelerator) -> Sequence[Any]:
    """The chips of a slice, as JAX has them. RuntimeError without libtpu."""
    os.environ["TPU_SKIP_MDS_QUERY"] = "1"  # or libtpu asks Google's metadata server what machine this is
    generation = accelerator.name.rpartition("-")[0].replace("litepod", "e")
    name = f"{generation}:{accelerator.topology}"
    return topologies.get_topology_desc(name, "tpu", chips_per_host_bounds=[2, 2, 1]).devices


def compiled(config: T5Config, shape: Shape, placement: Placement) -> dict[str, Any]:
    """Of one device: what it sends in a step by the program and by the formula, its arguments, and what it works with."""
    step = Step(prompt_loss(T5(config), ["task"], z_loss=0.0), Adafactor().build(["task"]), ["task"], placement)
    shapes = parameter_shapes(config).items()
    params = nested({name: jax.ShapeDtypeStruct(sizes, config.dtype) for name, sizes in shapes})
    state = step.abstract({"task": jax.ShapeDtypeStruct((shape.prompt, config.emb_dim), np.float32)})
    batch = full_batch(config.vocab_size, shape.positions, shape.prompt, [0] * shape.rows)
    began = time.monotonic()
    program = step.compiled(state, params, batch)
    memory = program.memory_analysis()
    return {
        "sent_bytes": sent(program.as_text()),
        "formula_bytes": sent_by_step(config, shape, placement.data, placement.model),
        "merged_bytes": sent_by_step(config, shape, placement.data, placement.model, merged=True),
        "argument_bytes": memory.argument_size_in_bytes,
        "working_bytes": memory.temp_size_in_bytes,
        "compile_seconds": time.monotonic() - began,
    }


def mesh(text: str) -> tuple[int, int]:
    """Of "data=4,model=4"."""
    if (found := WRITTEN.fullmatch(text)) is None:
        raise argparse.ArgumentTypeError(f"mesh is '{text}', expected data=N,model=M")
    return int(found[1]), int(found[2])


def main() -> None:
    """Prints a line of JSON."""
    parser = argparse.ArgumentParser(description="What the TPU's own compiler makes of a step on a slice that is not here.")
    parser.add_argument("size", choices=NAMES, help="of T5 1.1")
    parser.add_argument("accelerator", type=lookup, help="v5litepod-16, v6e-8, v5p-16, ...")
    parser.add_argument("mesh", type=mesh, help="data=4,model=4")
    parser.add_argument("--append", type=Path, metavar="FILE", help="add the line to a file")
    options = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    config = replace(config_of(options.size), dtype="bfloat16", dropout_rate=0.0)
    chips = np.array(devices(options.accelerator)).reshape(options.mesh)
    placement = Placement(Mesh(chips, (DATA, MODEL), axis_types=(AxisType.Auto,) * 2))
    with mock.patch.object(jax, "default_backend", lambda: "tpu"):  # attention's gradient is written for where it will run
        found = compiled(config, SHAPE, placement)
    names = {"size": options.size, "accelerator": options.accelerator.name, "data": options.mesh[0], "model": options.mesh[1]}
    line = json.dumps(names | found | machine(ROOT) | {"versions": {"jax": jax.__version__, "libtpu": version("libtpu")}})
    print(line)
    if options.append:
        with open(options.append, "a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
