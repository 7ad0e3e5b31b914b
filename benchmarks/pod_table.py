"""Bounds of a step of prompt tuning on TPU slices and machines with GPUs: computed from sizes and stated peaks, not measured.

    python -m benchmarks.pod_table

For T5 1.1 XL and XXL in bfloat16, on the mesh that a preset of gin/launch has and on the one that ptune picks without one: what
a chip holds of weights and activations, how many operations of a step are its own (benchmarks/required_operations.py) and how
many bytes it sends (benchmarks/step_traffic.py; "merged": where the compiler adds gradients before it sums them over
devices). A step takes no less than its operations at the chip's peak, and no less than its bytes over all of the chip's links at
once (benchmarks/chip_figures.py); real steps reach neither, and a ring along one axis of a torus has only that axis' links.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.chip_figures import chip_of
from benchmarks.model_sizes import config_of
from benchmarks.random_step import TARGETS
from benchmarks.required_operations import required_operations
from benchmarks.step_traffic import Shape, sent_by_step
from ptune_cli.base_model import nested
from ptune_cli.device import kept_bytes
from ptune_cli.launchers.accelerators import lookup
from ptune_cli.mesh import smallest_split
from ptune_cli.t5.config import T5Config, parameter_count, parameter_shapes
from ptune_cli.t5.sharding import DATA, MODEL, Placement

PRESETS = Path(__file__).parents[1] / "gin" / "launch"
SIZES = ("xl", "xxl")
ACCELERATORS = ("v5litepod-16", "v6e-8", "v6e-16", "v5p-16", "v5p-32", "h100-80gb-8")
COLUMNS = (
    ("weights GB", "weight_bytes", 1e9, 1),
    ("activations GB", "activation_bytes", 1e9, 1),
    ("TFLOP", "operations", 1e12, 1),
    ("sent GB", "sent_bytes", 1e9, 2),
    ("merged GB", "merged_bytes", 1e9, 2),
    ("computing ms", "computing_seconds", 1e-3, 1),
    ("sending ms", "sending_seconds", 1e-3, 1),
    ("merged ms", "merged_seconds", 1e-3, 1),
)
CAPTION = "Of each chip. Lower bounds, computed from sizes and the makers' peak figures; nothing here is measured."
Line = dict[str, Any]


def lines(size: str, accelerator: str, shape: Shape) -> Iterator[Line]:
    """A line for the preset's mesh, if there is one, and for the mesh that ptune picks, if it is another."""
    config, chips = replace(config_of(size), dtype="bfloat16"), lookup(accelerator)
    picked = smallest_split(config, 2 * parameter_count(config), chips.chips, chips.memory * 10**9)
    named = preset_meshes().get((size, accelerator))
    for mesh in dict.fromkeys((named or picked, picked)):
        chosen = " and ".join(name for name, own in (("preset", named), ("ptune", picked)) if own == mesh)
        yield {"size": size, "accelerator": accelerator, "chosen": chosen, **bounds(config, accelerator, shape, *mesh)}


def preset_meshes() -> dict[tuple[str, str], tuple[int, int]]:
    """{(size, accelerator): (data, model)} of the examples in gin/launch."""
    found = {}
    for file in PRESETS.glob("*.gin"):
        text = file.read_text()
        mesh = re.search(r"models/t5_1_1_(\w+)\.gin .*--mesh data=(\d+),model=(\d+) ", text)
        accelerator = re.search(r'\.accelerator = "(.+)"', text)
        if mesh and accelerator:
            found[mesh[1], accelerator[1]] = int(mesh[2]), int(mesh[3])
    return found


def bounds(config: T5Config, accelerator: str, shape: Shape, data: int, model: int) -> Line:
    """Of each chip: bytes, operations, and the least seconds that these take."""
    chip = chip_of(accelerator)
    needed = required_operations(config, np.full(shape.rows, shape.positions), np.full(shape.rows, shape.targets))
    operations = needed / (data * model)
    sent, merged = (sent_by_step(config, shape, data, model, merged=merged) for merged in (False, True))
    return {
        "data": data,
        "model": model,
        "weight_bytes": weight_bytes(config, data, model),
        "activation_bytes": kept_bytes(config, model) * shape.rows // data * shape.positions,
        "operations": operations,
        "sent_bytes": sent,
        "merged_bytes": merged,
        "computing_seconds": operations / chip.rate,
        "sending_seconds": sent / chip.sends,
        "merged_seconds": merged / chip.sends,
    }


def weight_bytes(config: T5Config, data: int, model: int) -> int:
    """What a device of a mesh has of the weights, in `config.dtype`, on a mesh of devices that are not here."""
    shapes = parameter_shapes(config).items()
    params = nested({name: jax.ShapeDtypeStruct(shape, config.dtype) for name, shape in shapes})
    return Placement(jax.sharding.AbstractMesh((data, model), (DATA, MODEL))).bytes(params)


def table(found: Sequence[Line], shape: Shape) -> Table:
    """A section for each size, a line for each mesh."""
    title = f"{shape.rows} rows of {shape.positions - shape.prompt} tokens behind {shape.prompt} rows of prompt, in bfloat16"
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), title=title, title_justify="left", caption=CAPTION, caption_justify="left")
    for heading in ("T5 1.1", "on", "data x model", "mesh of"):
        table.add_column(heading, no_wrap=True)
    for heading, *_ in COLUMNS:
        table.add_column(heading, justify="right")
    for before, line in zip([found[0], *found], found, strict=False):
        if before["size"] != line["size"]:
            table.add_section()
        named = line["size"], line["accelerator"], f"{line['data']} x {line['model']}", line["chosen"]
        table.add_row(*named, *(f"{line[key] / unit:.{digits}f}" for _, key, unit, digits in COLUMNS))
    return table


def main() -> None:
    """Prints the table, or its lines as JSON."""
    parser = argparse.ArgumentParser(description="Lower bounds of a step on TPU slices and machines with GPUs; computed.")
    parser.add_argument("--rows", type=int, default=32, help="32; 16 devices have to divide them")
    parser.add_argument("--tokens", type=int, default=512, help="512, of an input")
    parser.add_argument("--prompt", type=int, default=100, help="100 rows before each input")
    parser.add_argument("--json", action="store_true", help="print lines of JSON, not a table")
    options = parser.parse_args()
    shape = Shape(options.rows, options.tokens + options.prompt, TARGETS, options.prompt)
    found = [line for size in SIZES for name in ACCELERATORS for line in lines(size, name, shape)]
    if options.json:
        print("".join(json.dumps(line) + "\n" for line in found), end="")
    else:
        Console(width=None if sys.stdout.isatty() else 130).print(table(found, shape))


if __name__ == "__main__":
    main()
