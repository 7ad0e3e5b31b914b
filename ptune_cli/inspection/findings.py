"""Trained prompts and their frozen model -> what is known of the prompts' rows."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ptune_cli.base_model import Frozen
from ptune_cli.commands.trained import Trained
from ptune_cli.errors import UserError
from ptune_cli.inspection.origin import initial_prompt, labels_of
from ptune_cli.prompts.init import label_vector
from ptune_cli.prompts.neighbours import best_match, cosines, directions, nearest, project, ranks, row_by_row
from ptune_cli.reports.inspect_results import Inspection, Neighbour, Point, PromptFound, PromptRow, Sighting

Known = TypeVar("Known")


@dataclass(frozen=True)
class Looking:
    """At the k nearest pieces of each row, and for `labels`, or without any for those of each prompt's task."""

    frozen: Frozen
    k: int
    labels: tuple[str, ...] = ()

    def at(self, prompts: Sequence[Trained]) -> Inspection:
        """All that is known of the prompts, in their order. UserError for a label of `labels` that does not tokenise."""
        arrays = [prompt.file.array for prompt in prompts]
        norms = np.linalg.norm(self.pieces, axis=1)
        found = [self._neighbours(array) for array in arrays]
        first = np.unique([row[0].id for own in found for row in own])
        places, explained = project(np.concatenate([*arrays, self.pieces[first]]))
        *own, of_pieces = np.split(places, np.cumsum([len(array) for array in arrays]))
        return Inspection(
            base_model=self.frozen.name,
            vocabulary_size=len(self.pieces),
            embedding_norm=(float(norms.mean()), float(norms.std())),
            k=len(found[0][0]),
            prompts=tuple(self._found(*each) for each in zip(prompts, found, own, strict=True)),
            row_by_row=row_by_row(arrays).tolist(),
            best_match=best_match(arrays).tolist(),
            pieces={self.frozen.vocabulary.piece(id): _point(at) for id, at in zip(first, of_pieces, strict=True)},
            explained=_point(explained),
        )

    @functools.cached_property
    def pieces(self) -> np.ndarray:
        """The embeddings [V, D] float32 of the vocabulary's pieces: the table's rows behind the last are not among them."""
        return np.asarray(self.frozen.embeddings[: self.frozen.vocabulary.size], np.float32)

    @functools.cached_property
    def _directions(self) -> np.ndarray:
        return directions(self.pieces)

    def _similarities(self, array: np.ndarray) -> np.ndarray:
        return directions(array) @ self._directions.T

    def _neighbours(self, array: np.ndarray) -> list[tuple[Neighbour, ...]]:
        similarities, piece = self._similarities(array), self.frozen.vocabulary.piece
        ids = nearest(similarities, self.k)
        return [
            tuple(Neighbour(int(i), piece(i), float(own[i])) for i in row) for own, row in zip(similarities, ids, strict=True)
        ]

    def _found(self, prompt: Trained, neighbours: Sequence[tuple[Neighbour, ...]], places: np.ndarray) -> PromptFound:
        array, notes = prompt.file.array, []
        start = _known(lambda: initial_prompt(prompt, self.frozen), "similarity to the initial prompt", notes)
        words = self.labels or _known(lambda: labels_of(prompt, self.frozen.vocabulary), "labels", notes)
        initial = [None] * len(array) if start is None else (directions(array) * directions(start)).sum(axis=1).tolist()
        norms = np.linalg.norm(array, axis=1).tolist()
        return PromptFound(
            name=prompt.member.name,
            path=str(prompt.path),
            task=prompt.member.task,
            seed=prompt.file.metadata.get("seed"),
            step=prompt.file.metadata.get("step"),
            labels=None if words is None else self._sightings(words, array),
            notes=tuple(notes),
            rows=tuple(map(PromptRow, norms, initial, neighbours, map(_point, places))),
        )

    def _sightings(self, words: Sequence[str], array: np.ndarray) -> Mapping[str, tuple[Sighting, ...]]:
        """{label: the rows it is among the k nearest of}."""
        if not words:
            return {}
        model = self.frozen
        vectors = [np.asarray(label_vector(word, model.embeddings, model.vocabulary)) for word in words]
        own = cosines(array, np.stack(vectors))
        places = ranks(self._similarities(array), own)
        return {
            word: tuple(Sighting(int(r), int(places[r, i]), float(own[r, i])) for r in np.flatnonzero(places[:, i] <= self.k))
            for i, word in enumerate(words)
        }


def _known(find: Callable[[], Known], what: str, notes: list[str]) -> Known | None:
    """What `find` finds; None, and a note, if it cannot be known here."""
    try:
        return find()
    except UserError as error:
        notes.append(f"no {what}: {error}")
        return None


def _point(at: np.ndarray) -> Point:
    return float(at[0]), float(at[1])
