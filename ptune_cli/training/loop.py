"""The training loop: the one long function of the project. Prompt tuning and pre-training both run it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from ptune_cli import watchdog
from ptune_cli.data.batch import Batch
from ptune_cli.errors import Preempted, RunFailure, UserError
from ptune_cli.runs import RunFolder
from ptune_cli.training import restoring
from ptune_cli.training.progress import Reporter
from ptune_cli.training.signals import asked_to_stop
from ptune_cli.training.step import State, Step


@dataclass(frozen=True, kw_only=True)
class Every:
    """How often, in steps; the last step is always evaluated, saved and logged."""

    evaluate: int = 1000
    save: int = 1000
    log: int = 50
    before_training: bool = False  # evaluate the start too; T5X's run_eval_before_training

    def __post_init__(self):
        for name in ("evaluate", "save", "log"):
            steps = getattr(self, name)
            if steps < 1:
                raise UserError(f"{name} is every {steps} steps, expected at least 1")


class Evaluator(Protocol):
    """What is done with the trainable tree every so often, and what must be remembered of it across a restart."""

    def __call__(self, step: int, trainable: Any) -> Mapping[str, float]:
        """Scores to log, as {"validation/accuracy/member": value}."""
        ...

    def memory(self) -> dict:
        """JSON that `recall` takes back on resumption: the best scores so far."""
        ...

    def recall(self, memory: dict) -> None: ...

    def rank(self) -> float | None:
        """The newest evaluation's score, by which checkpoints are ranked (higher is better)."""
        ...


def train(
    state: State,
    step: Step,
    frozen: Any,
    batches: Callable[[int], Sequence[Batch]],
    evaluator: Evaluator,
    folder: RunFolder,
    *,
    steps: int,
    every: Every,
) -> State:
    """Train from `state`, or from the folder's newest checkpoint, until `steps` updates are done.

    Raises:
        RunFailure: a loss, gradient or update is not finite; the last good state is saved first.
        Preempted: SIGTERM came; the state is saved first.
    """
    restored = restoring.restore(folder, state)
    if restored:
        _, state, memory = restored
        state = step.placement.put(state)
        evaluator.recall(memory)
    start, saved = int(state.step), int(state.step) if restored else -1
    folder.truncate_after(saved)
    with Reporter(steps, start) as reporter, asked_to_stop() as stopping:
        if restored and start < steps:
            reporter.say(f"resuming from step {start}")

        def save(t: int, state: State, rank: float | None = None) -> None:
            nonlocal saved
            if saved != t:
                restoring.save(folder, t, state, evaluator.memory(), rank)
                saved = t

        def settle(pending, state: State) -> None:
            """Read a dispatched step's metrics: wait for it, stop if it failed, log it if it is time."""
            t, metrics, names = pending
            metrics = jax.device_get(metrics)
            if not metrics["finite"].all():
                failed = int(state.failed_at)
                save(failed, state._replace(failed_at=jax.numpy.full_like(state.failed_at, -1)))
                members = ", ".join(name for name, ok in zip(names, metrics["finite"], strict=True) if not ok)
                raise RunFailure(
                    f"the loss, gradient or update of {members} is not finite at step {failed} (batch {failed} of its order); "
                    f"the state before it is saved in {folder.path}; lower the learning rate or compute in float32"
                )
            if (t + 1) % every.log == 0 or t + 1 == steps:
                rates = reporter.rates()
                loss = float(metrics["loss"].mean())
                reporter.show(t + 1, loss, rates)
                folder.log({"step": t + 1, **_by_member(metrics, names), **rates})

        pending = None
        for t in range(start, steps + 1):
            # The order matters. The state you have is evaluated and saved before the next batch moves it; a step's metrics
            # are read only after the next step is on its way, so the device never waits for the host.
            watchdog.alive()
            due, stop = t == steps or (t % every.evaluate == 0 and (t > 0 or every.before_training)), stopping(t)
            if pending and (due or stop or t % every.save == 0):
                settle(pending, state)
                pending = None
            with reporter.aside():
                rank = None
                if due and saved != t:
                    scores = evaluator(t, state.trainable)
                    rank = evaluator.rank()
                    folder.log({"step": t, **scores})
                if due or (t > start and t % every.save == 0):
                    save(t, state, rank)
            if stop or (due and stopping(t)):  # an evaluation may take minutes
                save(t, state)
                raise Preempted(f"stopped at step {t}, which is saved; run the same command again to go on")
            if t == steps:
                break
            parts = batches(t)
            reporter.count(sum(_examples(part) for part in parts), sum(_positions(part) for part in parts))
            previous, (state, metrics) = pending, step(state, frozen, parts)
            if previous:
                settle(previous, state)
            pending = t, metrics, step.names
    watchdog.rest()
    return state


def _examples(batch: Batch) -> int:
    return int(batch.target_segments.max(axis=1).sum())  # a row's are numbered from 1 on; none in one that fills up


def _positions(batch: Batch) -> int:
    return int(np.count_nonzero(batch.encoder_segments) + np.count_nonzero(batch.target_segments))


def _by_member(metrics: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, float]:
    shown = [name for name in metrics if name != "finite"]
    return {f"train/{key}/{name}": float(metrics[key][k]) for key in shown for k, name in enumerate(names)}
