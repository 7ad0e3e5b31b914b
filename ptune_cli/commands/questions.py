"""The lines of `ptune infer`'s input: each a text, and the one of the loaded prompts that answers it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ptune_cli.commands import prompt_names, trained
from ptune_cli.commands.trained import Trained
from ptune_cli.errors import UserError, nearest

SHOWN = 60  # characters of a line in a message


@dataclass(frozen=True)
class Question:
    """A line that is not blank: its fields, of which "inputs" is the text, and the index of the prompt that answers it."""

    fields: dict[str, Any]
    prompt: int


def read(lines: Iterable[str], source: str, prompts: Sequence[Trained]) -> list[Question]:
    """The questions in these lines of `source`, in their order. UserError, with the line's number, for what is none."""
    choose = cache(lambda name: _unnamed(prompts) if name is None else _named(name, prompts))
    questions = []
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        try:
            fields = _fields(line)
            questions.append(Question(fields, choose(fields.get("prompt"))))
        except UserError as error:
            raise UserError(f"{source}, line {number}: {error}") from None
    return questions


def _fields(line: str) -> dict[str, Any]:
    if not line.lstrip().startswith("{"):
        return {"inputs": line}
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise UserError(f"not JSON: {error}: {_start(line)}") from None
    if not isinstance(fields.get("inputs"), str):
        given = f"it is {_start(json.dumps(fields['inputs']))}" if "inputs" in fields else nearest("inputs", fields)
        raise UserError("no text in the field 'inputs'", given)
    if not isinstance(fields.get("prompt", ""), str):
        raise UserError("no name in the field 'prompt'", f"it is {_start(json.dumps(fields['prompt']))}")
    return fields


def _named(name: str, prompts: Sequence[Trained]) -> int:
    """The index of the prompt of this name. UserError if there is none, or more than one."""
    names = [prompt.member.name for prompt in prompts]
    found = prompt_names.called(name, [prompt.path for prompt in prompts])
    if not found:
        raise UserError(f"no prompt '{name}'; {nearest(name, names)}")
    if len(found) > 1:
        raise UserError(f"{len(found)} prompts are called '{name}'", f"name one: {', '.join(names[i] for i in found)}")
    return found[0]


def _unnamed(prompts: Sequence[Trained]) -> int:
    """The index of the prompt that answers where none is named. UserError if nothing says which of several."""
    names = [prompt.member.name for prompt in prompts]
    tasks = {prompt.member.task for prompt in prompts}
    if len(prompts) > 1 and (len(tasks) > 1 or "" in tasks):
        several = f"{len(prompts)} prompts {'of several tasks' if len(tasks) > 1 else 'that do not say their task'}"
        raise UserError(f"no prompt is named, and there are {several}", f"name one in the field 'prompt' {nearest('', names)}")
    return names.index(trained.best(prompts).member.name)


def _start(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
