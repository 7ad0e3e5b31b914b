"""How fast a model is pre-trained: tokens a second, and what share of the machine's matrix multiplication that is.

    python -m benchmarks.pretraining --sizes nano,micro,tiny

Peak and steps are measured in turn in one process, so that a busy machine slows both. Operations are XLA's own count of
the compiled step; tokens are encoder and decoder positions that are not padding.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.matrix_product import peak
from ptune_cli import config
from ptune_cli.commands.pretrain import Pretrain
from ptune_cli.data.batch import Batch
from ptune_cli.data.objectives import TextBatches
from ptune_cli.data.text import Text
from ptune_cli.t5.model import T5
from ptune_cli.training.loss import weight_loss
from ptune_cli.training.step import Step, start

DOCUMENT = 200  # tokens


def text(vocabulary: int, tokens: int = 200_000) -> Text:
    """Documents of random words: what they say makes no difference to the speed."""
    ids = np.random.default_rng(0).integers(3, vocabulary, tokens, np.int32)
    ids[DOCUMENT - 1 :: DOCUMENT] = 1
    return Text(ids, np.arange(0, tokens + 1, DOCUMENT))


def tokens(parts: Sequence[Batch]) -> int:
    return sum(int(np.count_nonzero(part.encoder_segments) + np.count_nonzero(part.target_segments)) for part in parts)


def measure(size: str, steps: int, of_peak: Callable[[], float]) -> tuple[float, float, float]:
    """(tokens/s, operations/s, share of the peak) of the pre-training recipe on one size; medians over the steps."""
    run, _ = config.load(Pretrain, ["runs/pretrain_span.gin", f"sizes/{size}.gin"])
    assert run.config is not None
    model = T5(replace(run.config, dropout_rate=0.0))
    ids, last = jnp.ones((1, 2), jnp.int32), run.config.vocab_size - 1
    optimizer = run.optimizer.build(None)
    state = start(model.init(jax.random.key(0), ids, ids)["params"], optimizer)
    step = Step(weight_loss(model, run.z_loss), optimizer, ["model"])
    batches = TextBatches(text(last - 100), run.objective, lambda i: last - i, run.batch_size, 0, run.microbatches)
    operations = sum(_operations(step, state, part) for part in batches(0))
    speeds, rates, peaks = [], [], []
    for t in range(steps + 2):
        parts = batches(t)
        peaks.append(of_peak())
        began = time.monotonic()
        state, _ = jax.block_until_ready(step(state, {}, parts))
        taken = time.monotonic() - began
        speeds.append(tokens(parts) / taken)
        rates.append(operations / taken)
    speed, rate = (statistics.median(values[2:]) for values in (speeds, rates))  # the first ones compile
    return speed, rate, rate / statistics.median(peaks)


def _operations(step: Step, state, part: Batch) -> float:
    analysis = step.compiled(state, {}, part).cost_analysis()
    return analysis["flops"] if analysis else float("nan")


def main() -> None:
    """Prints a line for each size."""
    parser = argparse.ArgumentParser(description="Speed of pre-training, as a share of the machine's own.")
    parser.add_argument("--sizes", default="nano,micro,tiny")
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    of_peak = peak()
    print(f"{'size':<6} {'tokens/s':>9} {'GFLOP/s':>8} {'of peak':>8}")
    for size in options.sizes.split(","):
        speed, rate, share = measure(size, options.steps, of_peak)
        print(f"{size:<6} {speed:>9,.0f} {rate / 1e9:>8.1f} {share:>7.0%}", flush=True)


if __name__ == "__main__":
    main()
