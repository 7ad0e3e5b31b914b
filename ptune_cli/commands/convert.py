"""`ptune convert`: a model or a prompt from the format it is in to another."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ptune_cli.base_model import BaseModel
from ptune_cli.commands import convert_table
from ptune_cli.commands.convert_model import Conversion
from ptune_cli.commands.convert_prompt import convert_prompt, sentence
from ptune_cli.commands.prompt_places import is_prompt
from ptune_cli.errors import UserError

ModelFormat = Literal["huggingface", "t5x", "t5x_scanned", "orbax", "orbax_scanned"]
PromptFormat = Literal["ptune", "npy", "original", "peft"]


@dataclass(frozen=True, kw_only=True)
class Source(BaseModel):
    """What a T5X or Mesh TensorFlow checkpoint does not say: sizes and vocabulary, as the gin files of models set them."""

    checkpoint: str = ""  # SOURCE takes its place


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Convert a model, or a prompt, from the format it is in to another.

    A model is read from Hugging Face's, T5X's or Mesh TensorFlow's format, its largest parameter in memory at a time. DESTINATION
    must not exist, and appears whole or not at all. Printed are the map of names, the count, and the fingerprint, which stays the
    same in every format, and in float32 and bfloat16. With --verify, logits that differ by more than 1e-4 are a failure; where
    numbers are rounded to --dtype, they are compared with those of the source rounded likewise.

    Example: ptune convert gs://t5-data/pretrained_models/t5x/t5_1_1_lm100k_base/checkpoint_1100000 t5-base-lm \\
        --gin models/t5_1_1_base.gin --verify
    Example: ptune convert tiny checkpoints/tiny --format t5x
    Example: ptune convert runs/demo demo-adapter --format peft --base tiny
    """

    source: str = field(metadata={"positional": True})  # a shipped model, hf://ORG/NAME, a model's folder or gs://; or a prompt
    destination: str = field(metadata={"positional": True})  # new; a folder of a model
    # default: t5x of a Hugging Face folder, huggingface of others; of a prompt what the destination's name tells
    format: ModelFormat | PromptFormat | None = None
    dtype: Literal["bfloat16", "float16", "float32"] | None = None  # default: as the source's arrays are stored
    verify: bool = False  # read both models again, and compare their logits
    prompt: str | None = None  # a prompt to put into a T5X checkpoint
    base: str | None = None  # of a prompt: its base model
    model: Source = Source()  # of a T5X or Mesh TensorFlow checkpoint; best given as --gin models/FILE
    json: bool = field(default=False, metadata={"saved": False})

    def run(self) -> None:
        """Convert, and say what was done."""
        destination = _new(self.destination)
        if is_prompt(self.source):
            self._refuse("a prompt", verify=self.verify, dtype=self.dtype, prompt=self.prompt)
            done = convert_prompt(Path(self.source), destination, self.format, self.base)
            print(json.dumps(done, indent=2) if self.json else sentence(done))
        else:
            self._refuse("a model", base=self.base)
            self._convert_model(destination)

    def _convert_model(self, destination: Path) -> None:
        model = replace(self.model, checkpoint=self.source)
        conversion = Conversion.of(model, destination, self.format, self.dtype, self.prompt)
        done, arrays = conversion.run(self.verify), conversion.arrays()
        if self.json:
            print(json.dumps({**done, "arrays": arrays}, indent=2))
        else:
            print(f"{convert_table.names(arrays)}\n{convert_table.end(done)}")

    def _refuse(self, what: str, **flags: object) -> None:
        for name in (name for name, value in flags.items() if value):
            raise UserError(f"--{name} is not for {what}, and {self.source} is one", f"leave out --{name}")


def _new(destination: str) -> Path:
    """The path of what is to be made. UserError where it is not a local one, or exists."""
    if "://" in destination:
        raise UserError(f"cannot write to {destination}", "give a path on this machine, and copy it from there")
    path = Path(destination).expanduser()
    if path.exists() or path.is_symlink():
        raise UserError(f"{destination} exists", "give a new path, or remove it first")
    return path
