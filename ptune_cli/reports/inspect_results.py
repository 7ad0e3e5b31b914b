"""What `ptune inspect` finds, as the table, the page and the JSON show it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

Point = tuple[float, float]


@dataclass(frozen=True)
class Neighbour:
    """A piece of the vocabulary and its cosine similarity to a row."""

    id: int
    piece: str
    similarity: float


@dataclass(frozen=True)
class PromptRow:
    """A row of a prompt. `initial` is its similarity to what it was before the first step, None if that is not known."""

    norm: float
    initial: float | None
    neighbours: tuple[Neighbour, ...]
    at: Point  # in the projection


@dataclass(frozen=True)
class Sighting:
    """A row that has a label among its k nearest; `rank` is 1 for the nearest."""

    row: int
    rank: int
    similarity: float


@dataclass(frozen=True)
class PromptFound:
    """A prompt. `labels` is None if those of its task are not known; `notes` say what is not known and why."""

    name: str
    path: str
    task: str
    seed: int | None
    step: int | None
    labels: Mapping[str, tuple[Sighting, ...]] | None
    notes: tuple[str, ...]
    rows: tuple[PromptRow, ...]

    @property
    def norm(self) -> float:
        return float(np.mean([row.norm for row in self.rows]))

    @property
    def initial(self) -> float | None:
        """The mean similarity of a row to what it was."""
        known = [row.initial for row in self.rows if row.initial is not None]
        return float(np.mean(known)) if known else None

    @property
    def by_nearest(self) -> dict[str, list[int]]:
        """{piece: the rows that it is nearest to}; pieces with most rows first."""
        found: dict[str, list[int]] = {}
        for number, row in enumerate(self.rows):
            found.setdefault(row.neighbours[0].piece, []).append(number)
        return dict(sorted(found.items(), key=lambda item: -len(item[1])))

    @property
    def shared(self) -> dict[str, list[int]]:
        """{piece: rows}, for the pieces that are nearest to several rows."""
        return {piece: rows for piece, rows in self.by_nearest.items() if len(rows) > 1}

    def as_json(self) -> dict[str, Any]:
        rows = [{"row": number, **asdict(row)} for number, row in enumerate(self.rows)]
        found = {"length": len(self.rows), "norm_mean": self.norm, "initial_mean": self.initial}
        return {**asdict(self), **found, "distinct_nearest": len(self.by_nearest), "shared_nearest": self.shared, "rows": rows}


@dataclass(frozen=True)
class Inspection:
    """Prompts of one base model. Matrices are [prompts][prompts]; `pieces` are the rows' nearest, where they are projected."""

    base_model: str
    vocabulary_size: int
    embedding_norm: tuple[float, float]  # mean and standard deviation over the vocabulary
    k: int
    prompts: tuple[PromptFound, ...]
    row_by_row: list[list[float]]
    best_match: list[list[float]]
    pieces: Mapping[str, Point]
    explained: Point  # share of the variance in each axis of the projection

    @property
    def names(self) -> list[str]:
        """The prompts' names, without their folders where that still tells them apart."""
        short = [Path(prompt.name).name for prompt in self.prompts]
        return short if len(set(short)) == len(short) else [prompt.name for prompt in self.prompts]

    def as_json(self) -> dict[str, Any]:
        return {
            "base_model": self.base_model,
            "vocabulary_size": self.vocabulary_size,
            "embedding_norm": dict(zip(("mean", "std"), self.embedding_norm, strict=True)),
            "neighbours": self.k,
            "prompts": [prompt.as_json() for prompt in self.prompts],
            "similarity": {"row_by_row": self.row_by_row, "best_match": self.best_match},
            "projection": {"explained": self.explained, "pieces": self.pieces},
        }
