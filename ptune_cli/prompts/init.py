"""Initial prompts, one frozen dataclass per method of the paper's Figure 3b, and two more: a string and a file.

Each is called with (key, length, embeddings, vocabulary) and returns [P, D] float32: `key` is the member's own JAX key
(nothing else is random, so a prompt does not depend on the other members of its bank), `embeddings` [V, D] is the frozen
table as NumPy or JAX array, `vocabulary` has `.encode(text) -> ids` and `.unk_id`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli.errors import UserError
from ptune_cli.formats import prompt as prompt_format


class Initializer(Protocol):
    """What every class of this file is: called once per member, before the first step."""

    def __call__(self, key: jax.Array, length: int, embeddings: Any, vocabulary: Any) -> jax.Array: ...


@jax.jit
def first_key(seed: int | jax.Array) -> jax.Array:
    """The JAX key of the member with this seed, also where JAX's own choice of a generator is another: T5X makes one."""
    key = jax.random.key(seed, impl="threefry2x32")
    return jax.random.fold_in(key, 2**31 - 1)  # dropout folds in steps, which stay below


@dataclass(frozen=True)
class Uniform:
    """Uniform in [low, high). The original code draws [0, 0.5), the default here; the paper's text says [-0.5, 0.5]."""

    low: float = 0.0
    high: float = 0.5

    def __call__(self, key: jax.Array, length: int, embeddings: Any, vocabulary: Any) -> jax.Array:
        """[P, D] float32. UserError on an empty range."""
        if not self.low < self.high:
            raise UserError(f"Uniform draws from [low, high), and low {self.low} is not below high {self.high}")
        return jax.random.uniform(key, (length, embeddings.shape[1]), jnp.float32, self.low, self.high)


@dataclass(frozen=True)
class SampledVocabulary:
    """Embeddings of random tokens among the first `population` rows, each at most once.

    T5's vocabulary is in order of frequency, so the first 5,000 rows are the paper's "5,000 most common tokens" (pad, eos
    and unk, the rows 0 to 2, are among them, as in the original code). A smaller table is sampled whole.
    """

    population: int = 5000

    def __call__(self, key: jax.Array, length: int, embeddings: Any, vocabulary: Any) -> jax.Array:
        """[P, D] float32. UserError if there are fewer rows than the prompt needs."""
        population = min(self.population, embeddings.shape[0])
        if length > population:
            raise UserError(
                f"SampledVocabulary needs {length} different tokens and its population has {population}",
                f"raise SampledVocabulary.population (the vocabulary has {embeddings.shape[0]} rows) or shorten the prompt",
            )
        return _placed(_rows(embeddings, _drawn(key, population, length)))


@dataclass(frozen=True)
class ClassLabels:
    """Row i is the mean of the embeddings of label i's tokens; `rest` draws the rows that are left.

    A prompt shorter than the list takes its first labels, as the original code does: the paper's prompts of one row.
    `labels=()` stands for "the task's labels": the caller fills them in (`dataclasses.replace`) before the call, or for a
    task that has none calls `rest`.
    """

    labels: tuple[str, ...] = ()
    rest: Initializer = SampledVocabulary()

    def __call__(self, key: jax.Array, length: int, embeddings: Any, vocabulary: Any) -> jax.Array:
        """[P, D] float32. UserError without labels, or on a label that does not tokenise."""
        if not self.labels:
            raise UserError("ClassLabels has no labels, and the task lists none", "set ClassLabels.labels")
        means = [label_vector(label, embeddings, vocabulary) for label in self.labels]
        return _fill(np.stack(means[:length]), self.rest, key, length, embeddings, vocabulary)


@dataclass(frozen=True)
class String:
    """Row i is the embedding of token i of `text` (no end-of-sequence token); `rest` draws the rows that are left."""

    text: str
    rest: Initializer = SampledVocabulary()

    def __call__(self, key: jax.Array, length: int, embeddings: Any, vocabulary: Any) -> jax.Array:
        """[P, D] float32. UserError if the text does not tokenise or has more tokens than the prompt has rows."""
        ids = _tokens(self.text, "string", vocabulary)
        if len(ids) > length:
            raise UserError(
                f"String '{self.text}' has {len(ids)} tokens for a prompt of {length} rows",
                f"raise the prompt length to {len(ids)} or shorten the text",
            )
        return _fill(_rows(embeddings, ids), self.rest, key, length, embeddings, vocabulary)


@dataclass(frozen=True)
class FromFile:
    """A prompt trained before, exactly: the start of transfer (SPoT) and of evaluation."""

    path: str

    def __call__(self, key: jax.Array, length: int, embeddings: Any, vocabulary: Any) -> jax.Array:
        """[P, D] float32. UserError if the file cannot be read or has another shape."""
        array = prompt_format.read(self.path).array
        expected = (length, embeddings.shape[1])
        if array.shape != expected:
            raise UserError(
                f"the prompt {self.path} has shape {array.shape} and this run needs {expected} (length, width)",
                "set the prompt length to the file's, or use the base model that the prompt was trained for",
            )
        return _placed(np.asarray(array, np.float32))


def label_vector(label: str, embeddings: Any, vocabulary: Any) -> np.ndarray:
    """The mean [D] float32 of the embeddings of a label's tokens. UserError on a label that does not tokenise."""
    return np.asarray(jnp.mean(_rows(embeddings, _tokens(label, "class label", vocabulary)), axis=0))


# What is not worth a program of XLA's own is done in NumPy: each takes longer to compile than all prompts to make.
def _rows(embeddings: Any, ids: Any) -> np.ndarray:
    return np.asarray(embeddings.take(np.asarray(ids), axis=0), np.float32)


@partial(jax.jit, static_argnums=(1, 2))
def _drawn(key: jax.Array, population: int, count: int) -> jax.Array:
    return jax.random.choice(key, population, (count,), replace=False)


def _placed(rows: np.ndarray) -> jax.Array:
    return jax.device_put(rows)


def _tokens(text: str, kind: str, vocabulary: Any) -> Sequence[int]:
    ids = vocabulary.encode(text)
    # One <unk> is enough to refuse: SentencePiece turns a word that it cannot spell into a bare word start and <unk>.
    if not ids or vocabulary.unk_id in ids:
        found = f"to {list(ids)}, where {vocabulary.unk_id} is <unk>" if ids else "to no token"
        raise UserError(f"the {kind} '{text}' does not tokenise: it encodes {found}", "use words that the vocabulary can spell")
    return ids


def _fill(rows: np.ndarray, rest: Initializer, key: jax.Array, length: int, embeddings: Any, vocabulary: Any) -> jax.Array:
    missing = length - rows.shape[0]
    others = [np.asarray(rest(key, missing, embeddings, vocabulary))] if missing else []
    return _placed(np.concatenate([rows, *others]))
