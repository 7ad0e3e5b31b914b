"""New prompts made of trained ones: their mean, and points between two."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ptune_cli import __version__
from ptune_cli.commands import prompt_facts
from ptune_cli.commands.prompt_comparison import BASE, Trait, check_together
from ptune_cli.commands.prompt_writing import check_new, write_own
from ptune_cli.formats import prompt
from ptune_cli.formats.atomic_folder import new_folder
from ptune_cli.formats.prompt import PromptFile, prompt_folder

ALIKE: Mapping[str, Trait] = {
    **BASE,
    "length": lambda found: found.array.shape[0],
    "placement": lambda found: found.metadata.get("placement"),
}
OF_BASE = ("base_model", "base_fingerprint", "vocabulary_sha256", "model")  # as the first prompt that says them
OF_ALL = ("task", "placement", "input_length", "target_length", "protocol")  # where all say the same
OF_EACH = ("task", "seed", "step", "scores")  # what is told of each prompt, and is not the new one's


def average(places: Sequence[Path], to: Path) -> dict[str, Any]:
    """Write the mean of prompts. UserError where they are not of one base model, length and placement, or `to` exists."""
    check_new(to)
    prompts, notes = _read(places)
    share = 1 / len(prompts)
    made = _mixed("average", places, prompts, [share] * len(prompts))
    write_own(to, made)
    return {"made": [_told(to, made)], "notes": notes}


def interpolate(one: Path, other: Path, points: Sequence[float], to: Path) -> dict[str, Any]:
    """Write (1-t) A + t B for each t of `points`: one as `to`, several as the folders `to`/prompts/T, as a run has its prompts.

    UserError as of `average`.
    """
    check_new(to)
    places = (one, other)
    prompts, notes = _read(places)
    made = {f"{t:g}": _mixed("interpolate", places, prompts, [1 - t, t]) for t in points}
    if len(made) == 1:
        write_own(to, *made.values())
        return {"made": [_told(to, *made.values())], "notes": notes}
    with new_folder(to) as folder:
        for name, found in made.items():
            prompt.write(prompt_folder(folder, name), found)
    return {"made": [_told(prompt_folder(to, name), found) for name, found in made.items()], "notes": notes}


def _read(places: Sequence[Path]) -> tuple[list[PromptFile], list[str]]:
    prompts = [prompt.read(place) for place in places]
    return prompts, check_together(places, prompts, ALIKE)


def _mixed(how: str, places: Sequence[Path], prompts: Sequence[PromptFile], weights: Sequence[float]) -> PromptFile:
    """The weighted sum, added in float64, and what it is made of. Scores, seed and step are of the parts, not of the sum."""
    array = sum(w * found.array.astype(np.float64) for w, found in zip(weights, prompts, strict=True))
    said = [found.metadata for found in prompts]
    of_base = {key: next(own[key] for own in said if key in own) for key in OF_BASE if any(key in own for own in said)}
    of_all = {key: said[0][key] for key in OF_ALL if key in said[0] and all(own.get(key) == said[0][key] for own in said)}
    parts = [
        {
            "prompt": str(place),
            "sha256": prompt_facts.sha256(found.array),
            "weight": w,
            **{key: found.metadata[key] for key in OF_EACH if key in found.metadata},
        }
        for place, found, w in zip(places, prompts, weights, strict=True)
    ]
    made = {"length": len(prompts[0].array), "made": {"by": how, "of": parts}, "ptune_version": __version__}
    return PromptFile(np.asarray(array, np.float32), {**of_base, **of_all, **made})


def _told(to: Path, found: PromptFile) -> dict[str, Any]:
    length, width = found.array.shape
    return {"path": str(to), "length": length, "width": width, **found.metadata["made"]}
