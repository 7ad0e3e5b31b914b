"""A program for a process with many devices: compiles the step of T5 1.1 XXL for a mesh from abstract values, as JSON.

What a device of the mesh holds, and what devices tell each other: {"bytes": ..., "collectives": {"all-reduce f32[...]": count}}.
"""

import json
import re
import sys
from collections import Counter

import jax
import numpy as np

from ptune_cli.base_model import nested
from ptune_cli.data.batch import Batch
from ptune_cli.t5.config import T5Config, parameter_shapes
from ptune_cli.t5.model import T5
from ptune_cli.t5.sharding import Placement
from ptune_cli.training.loss import prompt_loss
from ptune_cli.training.optimizer import Adafactor
from ptune_cli.training.step import Step

XXL = dict(vocab_size=32128, emb_dim=4096, num_heads=64, head_dim=64, mlp_dim=10240)
COLLECTIVE = re.compile(r"= (.*?) (all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)(?:-start)?\(")


def main(data: int, model: int, layers: int, rows: int, length: int) -> dict:
    config = T5Config(**XXL, num_encoder_layers=layers, num_decoder_layers=layers, dtype="bfloat16")
    placement = Placement.of(data, model)
    step = Step(prompt_loss(T5(config), ["task"], 1e-4), Adafactor().build(["task"]), ["task"], placement)
    shapes = parameter_shapes(config)
    params = nested({name: jax.ShapeDtypeStruct(shape, "bfloat16") for name, shape in shapes.items()})
    state = step.abstract({"task": jax.ShapeDtypeStruct((100, config.emb_dim), np.float32)})
    ids, targets = np.zeros((rows, length), np.int32), np.zeros((rows, 8), np.int32)
    batch = Batch(ids, ids, targets, targets, np.zeros((rows, 1), np.int32), np.zeros((rows, 1, 3), np.int32))
    program = step.compiled(state, params, batch)
    memory = program.memory_analysis()
    found = (COLLECTIVE.search(line) for line in program.as_text().splitlines())
    collectives = Counter(f"{match[2]} {re.sub(r'{[^}]*}', '', match[1])}" for match in found if match)
    return {
        "weights": placement.bytes(params),
        "arguments": memory.argument_size_in_bytes,
        "worked_with": memory.temp_size_in_bytes,
        "collectives": collectives,
    }


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
