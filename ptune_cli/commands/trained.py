"""Trained prompts, found again: from a run folder (all its members) or from one prompt's file or folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp

from ptune_cli.base_model import BaseModel, Frozen
from ptune_cli.data.batches import Lengths
from ptune_cli.errors import UserError, nearest_path
from ptune_cli.evaluation.predict import Predictor, Protocol
from ptune_cli.evaluation.score import Scorer
from ptune_cli.formats import prompt as prompt_format
from ptune_cli.formats.prompt import PromptFile
from ptune_cli.prompts.bank import Member, Prompt


@dataclass(frozen=True)
class Trained:
    """A prompt read back, and the member of a bank that it is."""

    path: Path
    file: PromptFile
    member: Member

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
    """The prompts at `paths`; of several paths, members are named by where they are.

    UserError if there are none at one of them, or one of them cannot be read.
    """
    found = [prompt for path in paths for prompt in _find(path)]
    if len(paths) < 2:
        return found
    return [replace(prompt, member=replace(prompt.member, name=str(prompt.path))) for prompt in found]


def best(prompts: Sequence[Trained]) -> Trained:
    """The one of these prompts that validated best, as their runs say. UserError if one of several is of no finished run."""
    return prompts[0] if len(prompts) == 1 else max(prompts, key=_validation)


def _find(path: str) -> list[Trained]:
    place = Path(path).expanduser()
    if not place.exists():
        raise UserError(f"no run or prompt at '{path}'", nearest_path(place))
    if (place / "run.json").is_file() and not (place / "prompts").is_dir():
        raise UserError(f"the run {path} has no prompts yet", "run its `ptune train` command again to go on with it")
    folders = sorted((place / "prompts").glob("*/")) if (place / "prompts").is_dir() else [place]
    return [_read(folder) for folder in folders]


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
    """`given`, or the model that the first prompt names. UserError if it names none."""
    saved = prompts[0].file.metadata.get("model")
    if given is not None:
        return given
    if saved is None:
        raise UserError(f"{prompts[0].path} does not say its base model", "give --model.checkpoint")
    return BaseModel.from_json(saved)


def load(prompts: Sequence[Trained], model: BaseModel) -> Frozen:
    """The model, loaded. UserError, which names the prompt, unless all of them belong to it."""
    frozen = model.load()
    for prompt in prompts:
        try:
            prompt_format.check(prompt.file, frozen)
        except UserError as error:
            raise UserError(f"{prompt.path}: {error}") from None
    return frozen


def table(prompts: Sequence[Trained]) -> jax.Array:
    """The prompt table [R, D]."""
    return jnp.concatenate([jnp.asarray(prompt.file.array) for prompt in prompts])


def input_length(prompts: Sequence[Trained]) -> int:
    """The longest input that these prompts were trained on, in tokens."""
    return max(prompt.input_length for prompt in prompts)


def scorer(prompts: Sequence[Trained], frozen: Frozen, batch: int, target_length: int) -> Scorer:
    """The scorer that training used."""
    longest = max(prompt.member.prompt.length for prompt in prompts)
    lengths = Lengths(input_length(prompts), target_length, longest)
    return Scorer(Predictor(frozen.model, batch, lengths), frozen.vocabulary)


def _read(place: Path) -> Trained:
    file = prompt_format.read(place)
    folder = place if place.is_dir() else place.parent
    metadata = file.metadata
    prompt = Prompt(length=file.array.shape[0], placement=metadata.get("placement", "prefix"))
    return Trained(place, file, Member(folder.name, metadata.get("task", ""), metadata.get("seed", 0), prompt))
