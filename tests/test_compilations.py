"""What XLA compiles for a run: each program once, all of them at its start, and none where the cache on disk has them."""

import json
import os
import shutil
import threading
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import model_folder
import pytest
import tiny
from processes import python

from benchmarks.compilations import Compilations
from ptune_cli.t5.model import T5
from ptune_cli.training.loss import prompt_loss
from ptune_cli.training.optimizer import Adafactor
from ptune_cli.training.programs import THREADS, Programs
from ptune_cli.training.step import Step, start

# With a ptune command line: prints, once all threads have ended, which programs it took and how many of them XLA compiled.
COUNTED = """
    import atexit, json, logging, re, sys
    from collections import Counter
    import jax
    from benchmarks.compilations import Compilations
    from ptune_cli import cli

    class Names(logging.Handler):
        def emit(self, record):
            taken.update(re.findall(r"Finished XLA compilation of jit\\((.*)\\) in", record.getMessage()))

    compiled, taken = Compilations(), Counter()
    jax.config.update("jax_log_compiles", True)
    logging.getLogger("jax").handlers = [Names()]
    atexit.register(lambda: print(json.dumps([taken, compiled.count])))
    sys.exit(cli.main(sys.argv[1:]))
"""


def taken(model: Path, run: Path, steps: int) -> tuple[dict[str, int], int]:
    """{program: how many of that name} of a run that evaluates every 8 steps, and how many programs were compiled."""
    process = python(COUNTED, *model_folder.train(model, run, "--steps", steps, *EVERY), cwd=Path(__file__).parent)
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return tuple(json.loads(printed.splitlines()[-1]))


EVERY = ("--every.evaluate", "8", "--every.save", "8", "--every.before_training", "false")
STEP = {"_nothing": 1, "_accumulate": 2, "_apply": 1}  # the data asks for two shapes
SCORING = {"encode": 6, "greedy": 6, "log_likelihoods": 6}  # of the splits' six lengths


def test_a_run_takes_the_same_few_programs_whatever_its_length_and_compiles_them_once(model, tmp_path, monkeypatch):
    """Of 16 steps, then of 64 with what the first kept, then the first one resumed behind its first evaluation."""
    prepared = shutil.copytree(os.environ["PTUNE_CACHE"], tmp_path / "cache", ignore=lambda *_: ["xla"])
    monkeypatch.setenv("PTUNE_CACHE", str(prepared))
    programs, compiled = taken(model, tmp_path / "short", 16)
    assert compiled == sum(programs.values())
    assert {name: count for name, count in programs.items() if name in STEP | SCORING} == STEP | SCORING
    # Of the first prompt its key, embeddings and the means of labels' tokens, and the drawn rows; of the optimizer its start.
    assert compiled - sum((STEP | SCORING).values()) <= 7
    assert taken(model, tmp_path / "long", 64) == (programs, 0)
    shutil.rmtree(tmp_path / "short" / "checkpoints" / "16")
    (tmp_path / "short" / "results.json").unlink()
    assert taken(model, tmp_path / "short", 16) == (programs, 0)


def test_a_step_compiles_nothing_that_was_compiled_ahead():
    own, params = tiny.bank(), tiny.weights()
    names, optimizer, batches = [own[0].name], Adafactor().build(), tiny.batches(own)
    step, state = Step(prompt_loss(T5(tiny.CONFIG), names, 0.0), optimizer, names), start(tiny.first_prompts(own), optimizer)
    abstract = [
        jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree) for tree in (state.trainable, params)
    ]
    compiled = Compilations()
    with step.ahead(*abstract, batches.empties()):
        for t in range(3):
            state, _ = step(state, params, batches(t))
    assert int(state.step) == 3 and compiled.count == 3  # zeros, the one shape's gradient, the update


def test_shapes_that_were_not_announced_compile_when_they_come_and_once():
    programs, lowered = Programs(), []

    def lower():
        lowered.append(1)
        return jax.jit(jnp.sin).lower(1.0)

    assert programs("sine", lower)(0.0) == programs("sine", lower)(0.0) == 0.0
    assert len(lowered) == 1


def test_after_a_failure_no_more_programs_are_begun():
    programs, begun, go = Programs(), [], threading.Event()

    def lower(i):
        begun.append(i)
        go.wait()
        return jax.jit(jnp.sin).lower(1.0)

    with pytest.raises(KeyboardInterrupt), programs.ahead({i: partial(lower, i) for i in range(THREADS + 5)}):
        raise KeyboardInterrupt
    go.set()
    assert THREADS + 4 not in begun


def test_what_goes_wrong_ahead_is_told_where_the_program_is_asked_for():
    programs = Programs()

    def fail():
        raise ValueError("cannot be traced")

    with programs.ahead({"bad": fail}), pytest.raises(ValueError, match="cannot be traced"):
        programs("bad", fail)
