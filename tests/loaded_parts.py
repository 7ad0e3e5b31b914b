"""A program for one of two processes with two devices each: loads a model onto a mesh of 1x4, and prints what it read of it.

{"fingerprint": ..., "read": {parameter: share of its values}}
"""

import json
import math
import os
import sys

import jax

from ptune_cli.base_model import BaseModel
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.sharding import Placement


class Counting(Placement):
    """Counts the values that are read of each parameter."""

    found: dict[str, float] = {}

    def read(self, name, shape, read):
        def counted(index):
            part = read(index)
            if str(index) not in seen:
                seen.add(str(index))
                self.found[name] = self.found.get(name, 0) + part.size / math.prod(shape)
            return part

        seen: set[str] = set()
        return super().read(name, shape, counted)


if __name__ == "__main__":
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # where gloo greets
    options = json.loads(sys.argv[1])
    jax.distributed.initialize(options["coordinator"], 2, options["process"], heartbeat_timeout_seconds=30)
    sizes = options["config"] and T5Config(**options["config"] | {"mlp_activations": tuple(options["config"]["mlp_activations"])})
    model = BaseModel(checkpoint=options["checkpoint"], config=sizes)
    _, fingerprint = model.read(Counting(Placement.of(1, 4).mesh))
    print(json.dumps({"fingerprint": fingerprint, "read": Counting.found}), file=answer)
