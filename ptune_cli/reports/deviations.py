"""How a run differs from a recipe: the run folder's config.gin beside a gin file, with no JAX and nothing run.

The recipe is what its file sets, but for where a run lies and what it saves, its data, and its model's size and place. Of the
model it counts how long it was LM-adapted, and whether its vocabulary is as large.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptune_cli import shipped
from ptune_cli.config import settings
from ptune_cli.errors import UserError, nearest_path
from ptune_cli.reports import lm_adaptation
from ptune_cli.reports.consequences import CONSEQUENCES
from tasks import catalog

RECIPE = "runs/lester2021.gin"
TRAIN = "ptune_cli.commands.train.Train"
NOT_COMPARED = ("output", "tasks", "model.checkpoint", "model.vocabulary", "model.config", "model.weights_dtype", "every.save")
NOT_RECORDED = "not recorded"  # by the version of ptune that the run was made with


@dataclass(frozen=True)
class Deviation:
    """A setting, its value in the run and in the recipe, and why it matters ("" where nothing is known)."""

    setting: str
    run: Any
    recipe: Any

    @property
    def why(self) -> str:
        return CONSEQUENCES.get(self.setting, "")

    def as_json(self) -> dict:
        return {"setting": self.setting, "run": self.run, "recipe": self.recipe, "why": self.why}


def deviations(folder: str | Path, recipe: str = RECIPE) -> list[Deviation]:
    """How the run in `folder` differs from the gin file `recipe`; empty for a run that is the recipe.

    UserError if there is no run of `ptune train`, or no such recipe.
    """
    return compare(run_settings(folder), settings.of_file(recipe, TRAIN))


def run_settings(folder: str | Path) -> dict[str, Any]:
    """All settings of a run. UserError if there is none in `folder`, or it is not one of `ptune train`."""
    place = Path(folder).expanduser()
    if not place.exists():
        raise UserError(f"no run at '{folder}'", nearest_path(place))
    if not (place / "config.gin").is_file():
        raise UserError(f"{folder} is no run folder: it has no config.gin", "give the output of a `ptune train`")
    return settings.of_file(str(place / "config.gin"), TRAIN)


def compare(run: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[Deviation]:
    """The deviations between the settings of a run, which are all, and those that a recipe has."""
    return [*_of_base(run, recipe), *_of_tasks(run, recipe), *_of_values(_in_effect(run), _in_effect(recipe))]


def _of_values(run: Mapping[str, Any], recipe: Mapping[str, Any]) -> Iterator[Deviation]:
    for name, wanted in recipe.items():
        if any(name == other or name.startswith(f"{other}.") for other in NOT_COMPARED):
            continue
        owner = name.rpartition(".")[0]
        if name not in run and run.get(owner) != recipe.get(owner):
            continue  # an object of another class, which is a deviation itself, has no such setting
        if run.get(name, NOT_RECORDED) != wanted:
            yield Deviation(name, run.get(name, NOT_RECORDED), wanted)


def _in_effect(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with those resolved that stand in for others; which seeds they are does not matter, but how many."""
    found = {name: value for name, value in given.items() if name not in ("prompt_lengths", "seeds")}
    lengths = given.get("prompt_lengths") or (given.get("prompt.length"),)
    values = {
        "prompt.length": lengths[0] if len(lengths) == 1 else lengths,
        "test_split": found.pop("test_split", None) or given.get("validation_split"),
        "number of seeds": len(given["seeds"]) if "seeds" in given else None,
    }
    return found | {name: value for name, value in values.items() if value is not None}


def _of_base(run: Mapping[str, Any], recipe: Mapping[str, Any]) -> Iterator[Deviation]:
    adapted, wanted = (lm_adaptation.steps(given.get("model.checkpoint", "")) for given in (run, recipe))
    if "model.checkpoint" in recipe and adapted != wanted:
        told = f"{run['model.checkpoint']}: {lm_adaptation.told(adapted)}"
        yield Deviation("model.checkpoint", told, lm_adaptation.told(wanted))
    rows, wanted = _embedding_rows(run), recipe.get("model.config.vocab_size")
    if wanted is not None and rows != wanted:
        yield Deviation("model vocabulary", "unknown" if rows is None else f"{rows:,} embeddings", f"{wanted:,} embeddings")


def _embedding_rows(run: Mapping[str, Any]) -> int | None:
    """Rows of the base model's embedding, which tell T5's vocabulary from another's; None if the model is not to be found."""
    if run.get("model.config.vocab_size"):
        return run["model.config.vocab_size"]
    from ptune_cli.formats import huggingface  # imports NumPy, and what is missing is for `ptune doctor` to tell

    try:
        return huggingface.read_config(Path(shipped.locate(run["model.checkpoint"])) / huggingface.CONFIG).vocab_size
    except UserError:
        return None


def _of_tasks(run: Mapping[str, Any], recipe: Mapping[str, Any]) -> Iterator[Deviation]:
    wordy = [task for task in run["tasks"] if _has_word(task)]
    if wordy and not any(_has_word(task) for task in recipe.get("tasks", ())):
        yield Deviation("tasks", f"{', '.join(wordy)}: the dataset's word in front", "no word in front")


def _has_word(task: str) -> bool:
    entry = catalog.tasks().get(catalog.full_name(task))  # none for the user's own
    return bool(entry and entry.text.word)
