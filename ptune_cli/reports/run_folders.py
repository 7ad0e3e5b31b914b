"""The runs of `ptune train` below some folders, as their files tell them: settings, results, evaluations on other tasks."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptune_cli.errors import UserError, nearest_path
from ptune_cli.reports import deviations

CONFIG, RESULTS = "config.gin", "results.json"
EVALUATIONS = "evaluations"  # of a run on other tasks, a file each
ENSEMBLES = "ensembles"  # of a run's prompts, a file each
NEEDED = ("method", "protocol", "base_model", "base_fingerprint", "parameters", "tasks")  # in results.json


@dataclass(frozen=True)
class Run:
    """A finished run. `settings` are config.gin's by their flags' names, `results` are results.json's."""

    folder: Path
    settings: Mapping[str, Any]
    results: Mapping[str, Any]
    evaluations: Sequence[Mapping[str, Any]] = ()
    ensembles: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class LeftOut:
    """A run that a report cannot tell of, and why."""

    folder: Path
    why: str


def find(folders: Iterable[str | Path]) -> tuple[list[Run], list[LeftOut]]:
    """The runs in the folders and below, each once, and those that are not finished or cannot be read.

    UserError for a folder that does not exist, and if no run is finished.
    """
    given = [Path(folder).expanduser() for folder in folders]
    for folder in given:
        if not folder.is_dir():
            raise UserError(f"no folder '{folder}'", nearest_path(folder))
    places = {place.resolve(): place for folder in given for place in _below(folder)}
    found = [own for place in places.values() if (own := _read(place))]
    left_out = [own for own in found if isinstance(own, LeftOut)]
    if len(left_out) == len(found):
        told = f" ({len(left_out)} that cannot be reported: {left_out[0].folder}: {left_out[0].why})" if left_out else ""
        where = ", ".join(map(str, given))
        raise UserError(
            f"no finished run in {where}{told}",
            f"expected folders with {CONFIG} and {RESULTS}, as train, sweep and transfer make them",
        )
    return [own for own in found if isinstance(own, Run)], left_out


def _below(folder: Path) -> Iterator[Path]:
    """The run folders; what is in one is the run's own."""
    if (folder / CONFIG).is_file() or (folder / RESULTS).is_file():
        yield folder
        return
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and not inner.is_symlink() and inner.name[0] != ".":
            yield from _below(inner)


def _read(folder: Path) -> Run | LeftOut | None:
    """The run; None for one of another command."""
    if not (folder / CONFIG).is_file():
        return LeftOut(folder, f"it has {RESULTS} without {CONFIG}")
    if "train.Train." not in (folder / CONFIG).read_text(encoding="utf-8"):
        return None
    if not (folder / RESULTS).is_file():
        return LeftOut(folder, f"it is not finished (no {RESULTS})")
    try:
        results, settings = _json(folder / RESULTS), deviations.run_settings(folder)
        evaluations, ensembles = (
            [_json(file) for file in sorted((folder / kind).glob("*.json"))] for kind in (EVALUATIONS, ENSEMBLES)
        )
    except UserError as error:
        return LeftOut(folder, str(error))
    if missing := [name for name in NEEDED if name not in results]:
        return LeftOut(folder, f"another version of ptune made it: its {RESULTS} has no {', '.join(missing)}")
    return Run(folder, settings, results, evaluations, ensembles)


def _json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{file.name} is not JSON") from None
