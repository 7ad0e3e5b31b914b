"""A model's way from one format to another: a reader gives it parameter by parameter, a writer takes it block by block."""

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ptune_cli.base_model import BaseModel
from ptune_cli.commands import prompt_places
from ptune_cli.commands.convert_passage import Passage, bar
from ptune_cli.commands.convert_vocabulary import copy_vocabulary
from ptune_cli.errors import UserError, nearest
from ptune_cli.formats import checkpoint, prompt
from ptune_cli.formats.atomic_folder import new_folder
from ptune_cli.formats.checkpoint import Reader
from ptune_cli.formats.model_formats import FORMATS, Format
from ptune_cli.formats.prompt import PromptFile
from ptune_cli.t5.config import T5Config, parameter_count

STEP = re.compile(r"checkpoint_(\d+)")  # how T5X names a checkpoint's folder


@dataclass(frozen=True)
class Conversion:
    """All that is known of it before a weight is read."""

    model: BaseModel
    path: str  # of the source
    reader: Reader
    destination: Path
    format: Format
    config: T5Config
    stored: str  # the type that holds all the source's parameters as they are
    dtype: str  # that of the destination's
    prompt: PromptFile | None

    @classmethod
    def of(
        cls, model: BaseModel, destination: Path, format: str | None, dtype: str | None, prompt_path: str | None
    ) -> "Conversion":
        """Raises UserError where the source is not there, or cannot be written so."""
        path = model.folder(weights=True)
        reader, config = checkpoint.reader(path), checkpoint.sizes(path, model.config)
        written = _format(format or ("t5x" if reader.name == "Hugging Face" else "huggingface"))
        stored = checkpoint.stored_dtype(path)
        own = _prompt(prompt_path, written, config, model.checkpoint) if prompt_path else None
        return cls(model, path, reader, destination, written, config, stored, dtype or stored, own)

    def arrays(self) -> list[dict]:
        """Every parameter: its name in the source, in the destination and in T5X's flat layout, shapes and types likewise."""
        before, after = self.reader.places(self.config), self.format.places(self.config)
        return [
            {
                "name": name,
                "source": before[name][0],
                "destination": after[name][0],
                "source_shape": list(before[name][1]),
                "shape": list(after[name][1]),
                "source_dtype": self.stored,
                "dtype": self.dtype,
            }
            for name in before
        ]

    def run(self, verify: bool = False) -> dict:
        """Writes the destination, whole or not at all. Returns what was done, as `--json` prints it."""
        began = time.perf_counter()
        with new_folder(self.destination) as folder:
            vocabulary, notes = copy_vocabulary(self.model, folder) if self.format.holds_vocabulary else (None, [])
            passage = self._stream(folder)
            mark = passage.before.digest()
            if self.prompt:
                prompt.check_fingerprint(self.prompt, mark, self.model.checkpoint)
            difference = self._verify(folder, passage) if verify else None
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        for note in notes:
            print(note, file=sys.stderr)
        return {
            "source": self.path,
            "source_format": self.reader.name,
            "source_dtype": self.stored,
            "source_fingerprint": mark,
            "destination": str(self.destination),
            "format": self.format.name,
            "dtype": self.dtype,
            "fingerprint": passage.after.digest(),
            "parameters": parameter_count(self.config),
            "bytes": size,
            "vocabulary": vocabulary,
            "notes": notes,
            "largest_difference_of_logits": difference,
            "seconds": time.perf_counter() - began,
        }

    def _stream(self, folder: Path) -> Passage:
        array = self.prompt.array if self.prompt else None
        total = parameter_count(self.config)
        named = STEP.fullmatch(self.destination.name)
        step = int(named[1]) if named else 0
        with bar(total) as advance, self.format.writing(folder, self.config, self.dtype, array, step) as put:
            passage = Passage(put, self.dtype, self.path, advance)
            checkpoint.read(self.path, self.config, self.stored, passage, in_turn=True)
        return passage

    def _verify(self, folder: Path, passage: Passage) -> float:
        from ptune_cli.commands.convert_verify import difference  # imports JAX

        return difference(self.path, str(folder), self.config, self.dtype, passage.after.digest())


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise UserError(f"a model cannot be written as {name}", nearest(name, FORMATS))
    return FORMATS[name]


def _prompt(path: str, written: Format, config: T5Config, name: str) -> PromptFile:
    if not written.holds_prompt:
        holding = [key for key, format in FORMATS.items() if format.holds_prompt]
        raise UserError(f"a model in the format of {written.name} holds no prompt", nearest("", holding))
    found = prompt.read(prompt_places.one(path))
    prompt.check_width(found, config.emb_dim, name)
    return found
