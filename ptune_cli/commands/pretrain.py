"""`ptune pretrain`: train a T5 on plain text, with all weights trainable: the same step and loop as prompt tuning."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli import base_model, gin_text
from ptune_cli.base_model import BaseModel
from ptune_cli.data import text, vocabularies
from ptune_cli.data.objectives import Objective, SpanCorruption, TextBatches
from ptune_cli.data.prepared import default_cache
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.runs import RunFolder
from ptune_cli.t5.config import T5Config, parameter_count
from ptune_cli.t5.model import T5
from ptune_cli.training import averaging
from ptune_cli.training.loop import Every, train
from ptune_cli.training.loss import sums, weight_loss
from ptune_cli.training.optimizer import Adafactor, Schedule
from ptune_cli.training.step import Step, start

# T5's pre-training: learning rate 1/sqrt(max(step, warm-up)), relative to each weight's own size, fresh second moments.
T5_OPTIMIZER = Adafactor(
    learning_rate=1.0,
    schedule=Schedule(shape="rsqrt", warmup_steps=10_000),
    start_step=0,
    weight_decay=0.0,
    factored=True,
    parameter_scale=True,
)


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Pre-train a T5 on plain text, or go on with one: span corruption first, prefix LM ("LM adaptation") after.

    Example: ptune pretrain --gin runs/pretrain_span.gin
    """

    output: str  # the run folder; the model is written to its folder "model"
    text: str  # training text, one document per line
    validation_text: str  # held-out text
    config: T5Config | None = None  # the sizes of a new model; none: go on with `initial`
    initial: str | None = None  # a model folder to start from
    vocabulary: str | None = None  # of a new model: a SentencePiece model's file or folder, or "bytes"
    objective: Objective = SpanCorruption()
    optimizer: Adafactor = T5_OPTIMIZER
    steps: int = 10_000
    batch_size: int = 64
    microbatches: int = 1
    validation_batches: int = 8
    seed: int = 0
    z_loss: float = 1e-4
    average: int = 1  # checkpoints, the last so many, whose mean is the model that is written
    every: Every = Every(evaluate=500, save=500, log=50)

    def __post_init__(self):
        averaging.averaged_steps(self.average, self.steps, self.every)

    def run(self) -> None:
        """Train, then write the model as a Hugging Face folder in bfloat16."""
        config, vocabulary, params = self._begin()
        model, cache = T5(config), default_cache()

        def batches(path: str, seed: int) -> TextBatches:
            source = text.read(path, vocabulary, cache)
            return TextBatches(source, self.objective, vocabulary.sentinel, self.batch_size, seed, self.microbatches)

        held_out = [batches(self.validation_text, 0)(i) for i in range(self.validation_batches)]
        optimizer = self.optimizer.build(None)
        step = Step(weight_loss(model, self.z_loss), optimizer, ["model"])
        evaluator = HeldOut(model, held_out)
        with RunFolder.open(self.output, gin_text.write(self), keep_last=2 * self.average) as folder:
            state = train(
                start(params, optimizer),
                step,
                {},
                batches(self.text, self.seed),
                evaluator,
                folder,
                steps=self.steps,
                every=self.every,
            )
            weights = state.trainable
            if self.average > 1:
                weights = averaging.mean_weights(folder, state, averaging.averaged_steps(self.average, self.steps, self.every))
                print(f"the mean of the last {self.average} checkpoints:")
                evaluator(self.steps, weights)
            where = folder.path / "model"
            base_model.save(where, replace(config, dropout_rate=0.1), weights, vocabulary, "bfloat16")
            print(f"{parameter_count(config):,} parameters in {where}")

    def _begin(self) -> tuple[T5Config, Vocabulary, Any]:
        if self.initial is not None:
            frozen = BaseModel(checkpoint=self.initial, dropout_rate=0.0).load()
            return frozen.config, frozen.vocabulary, frozen.params
        if self.config is None or self.vocabulary is None:
            raise UserError("a new model needs a config and a vocabulary", "give both, or --initial, the model to go on with")
        vocabulary = vocabularies.load(self.vocabulary)
        base_model.check_vocabulary(vocabulary, self.config)
        config = replace(self.config, dropout_rate=0.0)  # T5 1.1 pre-trains without dropout
        ids = jnp.ones((1, 2), jnp.int32)
        params = T5(config).init(jax.random.key(self.seed), ids, ids)["params"]
        return config, vocabulary, params


class HeldOut:
    """The loss per token on fixed batches of text that was not trained on."""

    def __init__(self, model: T5, batches):
        self._batches = batches
        nothing = jnp.zeros((1, model.config.emb_dim))
        self._sums = jax.jit(lambda params, batch: sums(model, params, nothing, batch, 1, 0.0, False))
        self._loss = float("nan")

    def __call__(self, step: int, trainable: Any) -> Mapping[str, float]:
        found = [self._sums(trainable, part) for parts in self._batches for part in parts]
        loss, tokens = (float(np.sum([np.asarray(getattr(one, key)) for one in found])) for key in ("loss", "tokens"))
        self._loss = loss / tokens
        print(f"step {step}: held-out loss {self._loss:.4f} a token, perplexity {np.exp(self._loss):.2f}", flush=True)
        return {"validation/loss": self._loss, "validation/perplexity": float(np.exp(self._loss))}

    def memory(self) -> dict:
        return {}

    def recall(self, memory: dict) -> None:
        pass

    def rank(self) -> float | None:
        return -self._loss
