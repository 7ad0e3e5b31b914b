"""`ptune infer`: answer lines of text with a trained prompt."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptune_cli.base_model import BaseModel
from ptune_cli.commands import trained
from ptune_cli.compilation import keep_compiled
from ptune_cli.data.batches import Lengths
from ptune_cli.errors import UserError, nearest_path
from ptune_cli.evaluation.predict import Protocol
from ptune_cli.formats.atomic import write_atomically


@dataclass(frozen=True, kw_only=True)
class Infer:
    """Answer texts with a trained prompt; of a run with several prompts, the one that validated best.

    A line of the input is a JSON object with the field "inputs", or else the text itself. A text must look as the task's
    inputs do (`ptune eval --output` shows them).

    Example: echo "gloss: a large bird of prey" | ptune infer runs/demo --input - --output -
    """

    prompt: str = field(metadata={"positional": True})  # a run folder, or a prompt's folder or file
    input: str = "-"  # a file with one text or JSON object per line; - is standard input
    output: str = "-"  # a .jsonl file; - is standard output
    labels: tuple[str, ...] = ()  # choose among these (rank classification) instead of decoding freely
    target_length: int | None = None  # tokens to decode at most; default: as in training
    model: BaseModel | None = None  # default: the base model the prompt names
    batch_size: int = 64

    def run(self) -> None:
        """Read all lines, predict them in batches sorted by length, write them in their order."""
        keep_compiled()
        prompt = trained.best(trained.find(self.prompt))  # before standard input is waited for
        rows = list(_rows(self._lines(), self.input))
        frozen = trained.load([prompt], trained.base_model([prompt], self.model))
        protocol: Protocol = "rank" if self.labels else "beam" if prompt.protocol == "beam" else "greedy"
        scorer = trained.scorer([prompt], frozen, self.batch_size, self.target_length or prompt.target_length)
        [place] = trained.layouts([prompt])
        texts = [frozen.vocabulary.encode(row["inputs"]) for row in rows]
        lengths, labels = scorer.predictor.lengths, self.labels or None
        _tell_cuts(texts, lengths)
        ids = [place(lengths.input_ids(text)) for text in texts]
        answers = scorer.answers(frozen.params, trained.table([prompt]), ids, [protocol], labels)[protocol] if rows else []
        for row, (text, scores) in zip(rows, answers, strict=True):
            row.update({"prediction": text} if scores is None else {"prediction": text, "scores": scores})
        self._write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def _lines(self) -> list[str]:
        path = Path(self.input).expanduser()
        if self.input != "-" and not path.is_file():
            raise UserError(f"no input file '{self.input}'", nearest_path(path))
        content = sys.stdin.buffer.read() if self.input == "-" else path.read_bytes()
        try:
            return content.decode("utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.input} is not UTF-8 text: {error.reason} at byte {error.start}") from None

    def _write(self, lines: str) -> None:
        if self.output == "-":
            print(lines, end="")
        else:
            write_atomically(Path(self.output).expanduser(), lines.encode())


def _tell_cuts(texts: Sequence[Sequence[int]], lengths: Lengths) -> None:
    cut = sum(len(text) + 1 > lengths.inputs for text in texts)
    if cut:
        share = 100 * cut / len(texts)
        print(f"{cut} of {len(texts)} inputs ({share:.1f}%) are cut to {lengths.inputs} tokens", file=sys.stderr)


def _rows(lines: Iterable[str], source: str) -> Iterator[dict]:
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        if not line.lstrip().startswith("{"):
            yield {"inputs": line}
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{source}, line {number}: not JSON: {error}") from None
        if not isinstance(row.get("inputs"), str):
            raise UserError(f"{source}, line {number}: no text in the field 'inputs' (have: {', '.join(row) or 'nothing'})")
        yield row
