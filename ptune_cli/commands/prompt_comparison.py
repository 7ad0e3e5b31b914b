"""Do prompts belong together, and how do two of them differ?"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ptune_cli.commands import prompt_facts
from ptune_cli.errors import UserError
from ptune_cli.formats import prompt
from ptune_cli.formats.prompt import PromptFile
from ptune_cli.prompts.neighbours import directions

Trait = Callable[[PromptFile], Any]
# What prompts must have alike to be compared; None: the file does not say.
BASE: Mapping[str, Trait] = {
    "width": lambda found: found.array.shape[1],
    "base model": lambda found: found.metadata.get("base_fingerprint"),
    "vocabulary": lambda found: found.metadata.get("vocabulary_sha256"),
}
NEEDED = "prompts of one base model can be compared, and those of one length and placement mixed"
UNEQUAL = ("made", "format")  # metadata that says nothing of how a prompt was trained


def check_together(places: Sequence[Path], prompts: Sequence[PromptFile], alike: Mapping[str, Trait]) -> list[str]:
    """Notes of prompts that do not say their base model. UserError, naming what, where two differ in something of `alike`."""
    for what, trait in alike.items():
        said = [(place, found) for place, found in zip(places, prompts, strict=True) if trait(found) is not None]
        for place, found in said[1:]:
            first, expected = said[0]
            if trait(found) != trait(expected):
                values = " and ".join(_value(what, own, trait(own)) for own in (expected, found))
                raise UserError(f"{first} and {place} differ in their {what}: {values}", NEEDED)
    bare = [place for place, found in zip(places, prompts, strict=True) if BASE["base model"](found) is None]
    return [f"{place} does not say which weights it belongs to: only its width was compared" for place in bare]


def compare(one: Path, other: Path, most: int) -> dict[str, Any]:
    """How two prompts differ, with the `most` different rows. Of different lengths, the rows of the shorter are compared.

    UserError for prompts of other base models or widths.
    """
    places, prompts = (one, other), (prompt.read(one), prompt.read(other))
    notes = check_together(places, prompts, BASE)
    rows = min(len(found.array) for found in prompts)
    a, b = (found.array[:rows] for found in prompts)
    cosine, distance = (directions(a) * directions(b)).sum(axis=1), np.linalg.norm(a - b, axis=1)
    order = np.argsort(-distance, kind="stable")[:most]
    return {
        "prompts": [_short(place, found) for place, found in zip(places, prompts, strict=True)],
        "rows": rows,
        "equal": bool(prompts[0].array.shape == prompts[1].array.shape and (a == b).all()),
        "cosine": _summary(cosine),
        "distance": _summary(distance),
        "most_different": [
            {"row": int(i), "cosine": float(cosine[i]), "distance": float(distance[i]), "norms": [_norm(a[i]), _norm(b[i])]}
            for i in order
        ],
        "metadata": _differing(*(found.metadata for found in prompts)),
        "notes": notes,
    }


def _value(what: str, found: PromptFile, value: Any) -> str:
    name = found.metadata.get("base_model") if what == "base model" else None
    return f"{name!r} ({str(value)[:8]})" if name else repr(value)


def _short(place: Path, found: PromptFile) -> dict[str, Any]:
    length, width = found.array.shape
    known = {key: found.metadata.get(key) for key in ("base_model", "base_fingerprint")}
    return {"path": str(place), "length": length, "width": width, "sha256": prompt_facts.sha256(found.array), **known}


def _summary(values: np.ndarray) -> dict[str, float]:
    return {"least": float(values.min()), "mean": float(values.mean()), "largest": float(values.max())}


def _norm(row: np.ndarray) -> float:
    return float(np.linalg.norm(row))


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, list[Any]]:
    """{key: the two values} of metadata that differ; of texts with several lines, the lines that the other does not have."""
    keys = [key for key in sorted({*one, *other}) if key not in UNEQUAL and one.get(key) != other.get(key)]
    return {key: _lines(one.get(key), other.get(key)) for key in keys}


def _lines(a: Any, b: Any) -> list[Any]:
    if not (isinstance(a, str) and isinstance(b, str) and "\n" in a + b):
        return [a, b]
    lines = a.splitlines(), b.splitlines()
    return ["\n".join(line for line in own if line not in others) for own, others in (lines, lines[::-1])]
