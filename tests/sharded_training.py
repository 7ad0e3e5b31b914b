"""A program for processes with several devices each: trains a tiny bank on a mesh, and prints what came of it as JSON.

python sharded_training.py '{"meshes": [[2, 4]], "packing": true, ...}'
"""

import json
import os
import sys

import jax
import numpy as np
import tiny

from ptune_cli.data.batches import Batches
from ptune_cli.data.examples import Lengths, Source
from ptune_cli.data.microbatches import Cost
from ptune_cli.evaluation.predict import Predictor
from ptune_cli.prompts.bank import layout, slots, table
from ptune_cli.t5.model import T5
from ptune_cli.t5.sharding import Placement, fetch
from ptune_cli.training.loss import prompt_loss, weight_loss
from ptune_cli.training.optimizer import Adafactor
from ptune_cli.training.step import Step, start

STEPS = 20
CONFIG = tiny.config(num_heads=8, head_dim=4, dropout_rate=0.1, emb_dim=32, num_encoder_layers=1, num_decoder_layers=1)
BANK = tiny.bank(lengths=(3, 5), seeds=(0, 1))


def main(mesh: tuple[int, int], packing: bool, whole: bool) -> dict:
    """The losses of each step, and prompts and answers behind the last; with `whole` it is the model that is trained."""
    placement, names = Placement.of(*mesh), ["model"] if whole else [member.name for member in BANK]
    optimizer = Adafactor(learning_rate=0.01, factored=whole, start_step=0).build(None if whole else names)
    loss = weight_loss(T5(CONFIG), 1e-4) if whole else prompt_loss(T5(CONFIG), names, 1e-4)
    step, params = Step(loss, optimizer, names, placement), weights(placement)
    state = start(params if whole else tiny.first_prompts(BANK, CONFIG.emb_dim), optimizer, placement)
    losses, order = [], batches(placement, packing, BANK[:1] if whole else BANK, whole)
    for t in range(STEPS):
        state, metrics = step(state, {} if whole else params, order(t))
        losses.append(fetch(metrics["loss"]).tolist())
    if whole:
        return {"losses": losses, "kernel": fetch(state.trainable["encoder"]["layers_0"]["mlp"]["wo"]["kernel"]).tolist()}
    return {"losses": losses, "prompts": {name: fetch(state.trainable[name]).tolist() for name in names}} | answers(
        placement, params, table(state.trainable, names)
    )


def weights(placement: Placement):
    """The weights of `tiny`, of which each process takes its own parts."""
    return placement.put(jax.tree.map(np.asarray, tiny.weights(CONFIG)))


def batches(placement: Placement, packing: bool, own, whole: bool) -> Batches:
    places = [(lambda ids: ids) if whole else layout(member, rows) for member, rows in zip(own, slots(own), strict=True)]
    sources = [Source(tiny.Rows(), member.seed, place) for member, place in zip(own, places, strict=True)]
    cost = Cost(positions=400 // placement.data, fixed=100, attention=1_000).split(placement.data)
    return Batches(sources, 6, Lengths(16, 4, 0 if whole else 5), cost, packing)


def answers(placement: Placement, params, prompt_table) -> dict:
    """Of a few inputs, whose number no mesh divides."""
    predict = Predictor(
        T5(CONFIG), Cost(400 // placement.data, 100, 1_000).split(placement.data), Lengths(16, 4, 5), placement=placement
    )
    place, rows = layout(BANK[0], slots(BANK)[0]), tiny.Rows()
    inputs = [place(np.append(rows.inputs(i), 1).astype(np.int32)) for i in range(11)]
    labels = np.array([[5, 1], [9, 1]], np.int32)
    found = predict(params, prompt_table, inputs, ["greedy", "rank"], labels)
    return {protocol: answer.tolist() for protocol, answer in found.items()}


if __name__ == "__main__":
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # where gloo greets
    options = json.loads(sys.argv[1])
    if "process" in options:
        jax.distributed.initialize(options["coordinator"], 2, options["process"], heartbeat_timeout_seconds=30)
    found = [main(tuple(mesh), options.get("packing", False), options.get("whole", False)) for mesh in options["meshes"]]
    print(json.dumps(found), file=answer)
