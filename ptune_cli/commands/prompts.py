"""`ptune prompts`: what prompts there are, what one is, how two differ, and new ones made of several. JAX is not needed."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ptune_cli.commands import prompt_comparison, prompt_facts, prompt_mixing, prompt_places, prompt_tables
from ptune_cli.errors import UserError

MAKING = ("average", "interpolate")
What = Literal["ls", "show", "diff", "average", "interpolate"]


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """List prompts, show one, compare two, or make new ones of several.

    A prompt is a run with a single one, a prompt's folder or file, a PEFT adapter, or the original code's file or model folder.

    ls FOLDER...            every prompt below the folders: size, task, base model, step, scores
    show PROMPT...          all that a prompt's file says, and how long its rows are
    diff A B                the cosine and the distance of each row of A to that of B; the settings that differ
    average A B...          the mean of prompts of one base model and length; of a run, of all its prompts
    interpolate A B         (1-t) A + t B for each t of --at

    Example: ptune prompts ls runs
    Example: ptune prompts show runs/demo/prompts/gloss_topic-0
    Example: ptune prompts diff runs/demo/prompts/gloss_topic-0 runs/demo/prompts/gloss_topic-1
    Example: ptune prompts average runs/demo --to prompts/mean
    Example: ptune prompts interpolate runs/a runs/b --to prompts/between --at 0.25,0.5,0.75
    """

    what: What = field(metadata={"positional": True})  # to do, as above
    prompt: tuple[str, ...] = field(default=(), metadata={"positional": True})  # ls: folders, by default the current one
    to: str | None = None  # average, interpolate: a new folder, or FILE.safetensors; several points become a folder of prompts
    at: tuple[float, ...] = (0.5,)  # interpolate: how far from A to B, 0 to 1
    rows: int = 5  # diff: how many of the most different rows to show
    json: bool = field(default=False, metadata={"saved": False})

    def __post_init__(self):
        if not self.at or len(set(self.at)) < len(self.at) or not all(0 <= t <= 1 for t in self.at):
            raise UserError(f"at is {self.at}", "expected different numbers between 0 (A) and 1 (B)")
        if self.rows < 0:
            raise UserError(f"rows is {self.rows}", "expected 0 or more")

    def run(self) -> None:
        """Do it, and say what was found or made."""
        if (self.to is not None) != (self.what in MAKING):
            fault = "does not say where to write" if self.what in MAKING else "writes nothing, so --to has no meaning"
            raise UserError(f"prompts {self.what} {fault}", _usage(self.what))
        getattr(self, f"_{self.what}")()

    def _ls(self) -> None:
        found = prompt_facts.listed([Path(path).expanduser() for path in self.prompt or (".",)])
        self._tell(found, prompt_tables.listing)

    def _show(self) -> None:
        self._tell([prompt_facts.of(place) for place in self._places(1)], prompt_tables.cards)

    def _diff(self) -> None:
        one, other = self._places(2, 2)
        self._tell(prompt_comparison.compare(one, other, self.rows), prompt_tables.comparison)

    def _average(self) -> None:
        self._tell(prompt_mixing.average(self._places(2), self._to()), prompt_tables.made)

    def _interpolate(self) -> None:
        one, other = self._places(2, 2)
        self._tell(prompt_mixing.interpolate(one, other, self.at, self._to()), prompt_tables.made)

    def _places(self, least: int, most: int | None = None) -> list[Path]:
        places = [place for path in self.prompt for place in prompt_places.each(path)]
        if len(places) < least or most and len(places) > most:
            many = f"{least}" if least == most else f"{least} or more"
            raise UserError(f"prompts {self.what} takes {many} prompts, not {len(places)}", _usage(self.what))
        return places

    def _to(self) -> Path:
        return Path(self.to or "").expanduser()

    def _tell(self, found: Any, text: Any) -> None:
        print(json.dumps(found, indent=2, ensure_ascii=False)) if self.json else text(found)


def _usage(what: str) -> str:
    ends = {"ls": "FOLDER...", "show": "PROMPT...", "diff": "A B", "average": "A B... --to OUT", "interpolate": "A B --to OUT"}
    return f"ptune prompts {what} {ends[what]}"
