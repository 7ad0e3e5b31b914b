"""`ptune infer`: answer texts with trained prompts, of several tasks in one batch (the paper's Figure 2)."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ptune_cli.base_model import BaseModel, Frozen
from ptune_cli.commands import questions, trained
from ptune_cli.commands.questions import Question
from ptune_cli.commands.trained import Trained
from ptune_cli.compilation import keep_compiled
from ptune_cli.data.examples import Lengths
from ptune_cli.errors import UserError, nearest_path
from ptune_cli.evaluation.predict import Protocol
from ptune_cli.evaluation.score import Answer
from ptune_cli.formats.atomic import write_atomically


@dataclass(frozen=True, kw_only=True)
class Infer:
    """Answer texts with trained prompts. Texts of different tasks go through the model in one batch.

    A line of the input is a JSON object with the field "inputs", or else the text itself. A text must look as the task's
    inputs do (`ptune eval --output` shows them). The field "prompt" names the prompt that answers: {"prompt": "gloss_topic-0",
    "inputs": "gloss: a large bird"}. Without it the only prompt answers, or of several of one task the one that validated best.

    A prompt's name is that of its folder. Two runs may have prompts of one name: `runs/a` and `runs/b` have "a/gloss_topic-0"
    and "b/gloss_topic-0". The output has the input's fields, the prompt's name and its prediction, in the order of the input.

    Example: echo "gloss: a large bird of prey" | ptune infer runs/demo --input - --output -
    Example: ptune infer runs/demo runs/verses --input mixed.jsonl --output answers.jsonl
    """

    prompt: tuple[str, ...] = field(metadata={"positional": True})  # run folders, or a prompt's folder or file
    input: str = "-"  # a file with one text or JSON object per line; - is standard input
    output: str = "-"  # a .jsonl file; - is standard output
    labels: tuple[str, ...] = ()  # choose among these (rank classification) instead of decoding freely
    target_length: int | None = None  # tokens to decode at most; default: as each prompt was trained
    model: BaseModel | None = None  # default: the base model the prompts name
    positions: int | None = None  # computed at once, prompt included; default: what is fastest here
    mesh: str | None = None  # rows, weights split: data=4,model=2; default: what fits

    def run(self) -> None:
        """Read all lines, predict them in batches sorted by length, write them in their order."""
        keep_compiled()
        prompts = trained.whole(trained.find(*self.prompt))  # before standard input is waited for
        source = "standard input" if self.input == "-" else self.input
        asked = questions.read(self._lines(), source, prompts)
        frozen = trained.load(prompts, trained.base_model(prompts, self.model), mesh=self.mesh)
        answers = self._answers(frozen, prompts, asked) if asked else []
        lines = [_line(question, prompts, answer) for question, answer in zip(asked, answers, strict=True)]
        self._write("".join(lines))

    def _answers(self, frozen: Frozen, prompts: Sequence[Trained], asked: Sequence[Question]) -> list[Answer]:
        """The answer to each question: by its own prompt, cut, decoded and limited as that prompt was trained."""
        own = [prompts[question.prompt] for question in asked]
        texts = [np.array(frozen.vocabulary.encode(question.fields["inputs"]), np.int32) for question in asked]
        _tell_cuts(texts, own)
        layouts = trained.layouts(prompts)
        ids = [
            layouts[question.prompt](Lengths(prompt.input_length, prompt.target_length).input_ids(text))
            for question, prompt, text in zip(asked, own, texts, strict=True)
        ]
        protocols: list[Protocol] = [self._protocol(prompt) for prompt in own]
        limits = [self.target_length or prompt.target_length for prompt in own]
        scorer = trained.scorer(prompts, frozen, self.positions, max(limits))
        table, labels = trained.table(prompts), self.labels or None
        found = scorer.answers(frozen.params, table, ids, sorted(set(protocols)), labels, limits)
        return [found[protocol][i] for i, protocol in enumerate(protocols)]

    def _protocol(self, prompt: Trained) -> Protocol:
        return "rank" if self.labels else "beam" if prompt.protocol == "beam" else "greedy"

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


def _line(question: Question, prompts: Sequence[Trained], answer: Answer) -> str:
    row = {"prompt": prompts[question.prompt].member.name, **question.fields, "prediction": answer.text}
    if answer.scores is not None:
        row["scores"] = answer.scores
    return json.dumps(row, ensure_ascii=False) + "\n"


def _tell_cuts(texts: Sequence[np.ndarray], prompts: Sequence[Trained]) -> None:
    """How many texts are longer than the inputs of the prompts that answer them, for each such length."""
    limits = [prompt.input_length for prompt in prompts]
    cut = Counter(limit for text, limit in zip(texts, limits, strict=True) if len(text) + 1 > limit)
    for limit, count in sorted(cut.items()):
        print(f"{count} of {len(texts)} inputs ({100 * count / len(texts):.1f}%) are cut to {limit} tokens", file=sys.stderr)
