"""Trained prompts, found again: from a run folder (all its members) or from one prompt's file or folder.

What model tuning leaves is found as well: a model of its own, whose inputs have no prompt.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np

from ptune_cli.base_model import BaseModel, Frozen
from ptune_cli.commands import prompt_names
from ptune_cli.data.examples import Lengths
from ptune_cli.device import cost_here
from ptune_cli.errors import UserError, nearest_path
from ptune_cli.evaluation.predict import Predictor, Protocol
from ptune_cli.evaluation.score import Scorer
from ptune_cli.formats import prompt as prompt_format
from ptune_cli.formats.prompt import PromptFile
from ptune_cli.formats.strict import damaged
from ptune_cli.mesh import placement
from ptune_cli.prompts import bank
from ptune_cli.prompts.bank import Member, Prompt, layout, slots, unchanged

FOLDER = "model"  # of a run of model tuning: the weights of its best step, as a Hugging Face folder
TUNED = "tuned.json"  # in that folder: what a prompt's file would say


@dataclass(frozen=True)
class Trained:
    """A prompt read back, and the member of a bank that it is; or a tuned model, with one row that no input shows.

    A model that was tuned on several tasks is one of these for each of them.
    """

    path: Path
    file: PromptFile
    member: Member
    tuned: bool = False

    @property
    def input_length(self) -> int:
        return self.file.metadata.get("input_length", 512)

    @property
    def target_length(self) -> int:
        return self.file.metadata.get("target_length", 16)

    @property
    def protocol(self) -> Protocol:
        return self.file.metadata.get("protocol", "greedy")


def find(*paths: str) -> list[Trained]:
    """The prompts at `paths`, named as `prompt_names` says.

    UserError if there are none at one of them, one of them cannot be read, or one is given twice.
    """
    places = [place for path in paths for place in _places(path)]
    return [own for place, name in zip(places, prompt_names.shortest(places), strict=True) for own in _read(place, name)]


def whole(prompts: Sequence[Trained]) -> list[Trained]:
    """The prompts; or a tuned model once, whatever the number of its tasks."""
    if not prompts[0].tuned or len({prompt.path for prompt in prompts}) > 1:
        return list(prompts)
    member = replace(prompts[0].member, name=model_name([prompt.member for prompt in prompts]))
    return [replace(prompts[0], member=member)]


def model_name(members: Sequence[Member]) -> str:
    """What a model that was tuned on the tasks of these members is called."""
    return members[0].name if len(members) == 1 else f"mixture-{members[0].seed}"


def best(prompts: Sequence[Trained]) -> Trained:
    """The one of these prompts that validated best, as their runs say. UserError if one of several is of no finished run."""
    return prompts[0] if len(prompts) == 1 else max(prompts, key=_validation)


def run_folder(prompt: Trained) -> Path | None:
    """The folder of the run that made it; None if it lies in none."""
    folder = prompt.path if prompt.path.is_dir() else prompt.path.parent
    run = folder.parent if prompt.tuned else folder.parent.parent
    return run if (run / "config.gin").is_file() else None


def _places(path: str) -> list[Path]:
    place = Path(path).expanduser()
    if not place.exists():
        raise UserError(f"no run or prompt at '{path}'", nearest_path(place))
    for folder in (place, place / FOLDER):
        if (folder / TUNED).is_file():
            return [folder]
    members = sorted((place / "prompts").glob("*/"))
    if (place / "run.json").is_file() and not members:
        raise UserError(f"the run {path} has no prompts yet", "run its `ptune train` command again to go on with it")
    return members or [place]


def _validation(prompt: Trained) -> float:
    """The score on the validation split that the prompt was chosen by."""
    folder = prompt.path if prompt.path.is_dir() else prompt.path.parent
    run = folder.parent.parent
    results = run / "results.json"
    tasks = json.loads(results.read_text())["tasks"].values() if results.is_file() else ()
    scores = {row["member"]: row["validation"] for task in tasks for row in task["members"]}
    if folder.name not in scores:
        raise UserError(f"{results} does not say how well {folder.name} validated", "finish the run, or name one prompt")
    return scores[folder.name]


def base_model(prompts: Sequence[Trained], given: BaseModel | None) -> BaseModel:
    """`given`, or the model that the first prompt names. UserError if it names none, or if a tuned model is not alone."""
    saved = prompts[0].file.metadata.get("model")
    for prompt in prompts:
        if prompt.tuned and (given or any(other.path != prompt.path for other in prompts)):
            raise UserError(f"{prompt.path} has weights of its own", "score it alone, and leave out --model")
    if given is not None:
        return given
    if saved is None:
        raise UserError(f"{prompts[0].path} does not say its base model", "give --model.checkpoint")
    return BaseModel.from_json(saved)


def load(prompts: Sequence[Trained], model: BaseModel, loaded: Frozen | None = None, mesh: str | None = None) -> Frozen:
    """The model, loaded onto a mesh unless it is at hand. UserError, which names the prompt, unless all of them belong to it."""
    frozen = loaded or model.load(placement(mesh, model.sizes(), model.weight_bytes()))
    for prompt in prompts:
        try:
            prompt_format.check(prompt.file, frozen)
        except UserError as error:
            raise UserError(f"{prompt.path}: {error}") from None
    return frozen


def layouts(prompts: Sequence[Trained]) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Of each prompt, the function that puts its slots into an input's ids; that of a tuned model leaves them alone."""
    members = [prompt.member for prompt in prompts]
    places = [layout(member, rows) for member, rows in zip(members, slots(members), strict=True)]
    return [unchanged if prompt.tuned else place for prompt, place in zip(prompts, places, strict=True)]


def table(prompts: Sequence[Trained]) -> np.ndarray:
    """The prompt table [R, D]."""
    return np.concatenate([prompt.file.array for prompt in prompts])


def input_length(prompts: Sequence[Trained]) -> int:
    """The longest input that these prompts were trained on, in tokens."""
    return max(prompt.input_length for prompt in prompts)


def scorer(prompts: Sequence[Trained], frozen: Frozen, positions: int | None, target_length: int) -> Scorer:
    """The scorer that training used, with so many positions at once."""
    lengths = Lengths(input_length(prompts), target_length)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(frozen.params))
    cost = cost_here(positions, frozen.config, held, frozen.placement)
    return Scorer(Predictor(frozen.model, cost, lengths, placement=frozen.placement), frozen.vocabulary)


def _read(place: Path, name: str) -> list[Trained]:
    if (place / TUNED).is_file():
        return _tuned(place)
    file = prompt_format.read(place)
    metadata = file.metadata
    prompt = Prompt(length=file.array.shape[0], placement=metadata.get("placement", "prefix"))
    return [Trained(place, file, Member(name, metadata.get("task", ""), metadata.get("seed", 0), prompt))]


def _tuned(folder: Path) -> list[Trained]:
    try:
        saved = json.loads((folder / TUNED).read_text(encoding="utf-8"))
        # Loaded is the folder; what it was tuned from, and that model's fingerprint, are only to be read there.
        model = {**saved["model"], "checkpoint": str(folder), "config": None, "vocabulary": None}
        own = bank.members(saved["tasks"], [Prompt(length=1)], [saved["seed"]])
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(folder / TUNED, error) from error
    metadata = {**{name: value for name, value in saved.items() if name != "base_fingerprint"}, "model": model}
    nothing = np.zeros((1, BaseModel.from_json(model).sizes().emb_dim), np.float32)
    return [Trained(folder, PromptFile(nothing, metadata), member, tuned=True) for member in own]
