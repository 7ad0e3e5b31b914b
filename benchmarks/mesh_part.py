"""A process of `benchmarks/mesh_curve.py`: times the step of prompt tuning on each mesh of all devices, and prints JSON.

    python -m benchmarks.mesh_part '{"width": 64, "layers": 1, "rows": 8, "positions": 32, "prompt": 4, "steps": 3}'

With "coordinator" and "process" it is one of two processes.
"""

import json
import statistics
import sys
import time
from typing import Any

import jax

from benchmarks.collectives import sent
from benchmarks.random_step import RandomStep
from ptune_cli.data.batch import Batch
from ptune_cli.mesh import meshes
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.sharding import Placement, fetch

Settings = dict[str, Any]


def config_of(settings: Settings) -> T5Config:
    """A T5 1.1 of this width and so many layers in each stack, with 8 heads, so that up to 8 devices can share it."""
    width, layers = settings["width"], settings["layers"]
    return T5Config(
        vocab_size=6144,
        emb_dim=width,
        num_heads=8,
        head_dim=width // 8,
        mlp_dim=2 * width,
        num_encoder_layers=layers,
        num_decoder_layers=layers,
        dropout_rate=0.0,
    )


def measured(settings: Settings, data: int, model: int) -> dict[str, Any]:
    """The step on one mesh. `sent_bytes` and `weight_bytes` are of one device, `cpu_seconds` of all threads of this process."""
    placement = Placement.of(data, model)
    step = RandomStep(config_of(settings), settings["prompt"], placement=placement)
    batch = step.batch(settings["rows"], settings["positions"])
    began = time.monotonic()
    program = step.compile(batch)
    compiled = time.monotonic() - began
    loss = float(fetch(step([batch])["loss"])[0])  # of the step that is not timed: it compiles the update
    used = time.process_time()
    seconds = [_seconds(step, batch) for _ in range(settings["steps"])]
    used = time.process_time() - used
    return {
        "data": data,
        "model": model,
        "seconds": statistics.median(seconds),
        "cpu_seconds": used / len(seconds),
        "sent_bytes": sent(program.as_text()),
        "weight_bytes": placement.bytes(step.params),
        "compile_seconds": compiled,
        "loss": loss,
    }


def _seconds(step: RandomStep, batch: Batch) -> float:
    began = time.monotonic()
    jax.block_until_ready(step([batch]))
    return time.monotonic() - began


def main() -> None:
    """Measures, and prints a list of what was found."""
    settings = json.loads(sys.argv[1])
    if "process" in settings:
        jax.distributed.initialize(settings["coordinator"], 2, settings["process"], initialization_timeout=60)
    shapes = meshes(config_of(settings), len(jax.devices()))
    found = [measured(settings, *shape) for shape in shapes if settings["rows"] % shape[0] == 0]
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
