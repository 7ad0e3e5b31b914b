"""`file:PATH?inputs=TEMPLATE&targets=TEMPLATE`: the name of a task that is a data file of the user's own.

A template is text with fields of a row in braces, "premise: {premise}"; {{ and }} are braces.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from ptune_cli.errors import UserError, nearest

SCHEME = "file:"
SUFFIXES = (".csv", ".jsonl", ".parquet", ".tsv")
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")
# What would end a template, an item of --tasks or a line; brackets are markup to what prints tables.
_RESERVED = re.compile(r"[%&,\[\]\x00-\x1f]")


@dataclass(frozen=True)
class FileTask:
    """A data file, or a folder with one for each split, and how a row becomes text. An empty template is the default.

    Raises:
        UserError: a template without a field, or with a brace that is alone.
    """

    path: str
    inputs: str = ""
    targets: str = ""

    def __post_init__(self):
        for template in filter(None, (self.inputs, self.targets)):
            found = list(_BRACES.finditer(template))
            if any(match[0] in "{}" for match in found) or not any(match[1] for match in found):
                raise UserError(f"the template '{template}' names no field, or has a brace that is alone", "write {FIELD}")

    @classmethod
    def parse(cls, task: str) -> "FileTask | None":
        """What a task's name says; None if it does not begin with `file:`. UserError for anything but the two templates."""
        if not task.startswith(SCHEME):
            return None
        path, _, query = task.removeprefix(SCHEME).partition("?")
        templates = {"inputs": "", "targets": ""}
        for item in query.split("&") if query else ():
            name, _, template = item.partition("=")
            if name not in templates:
                raise UserError(f"'{task}' sets '{name}'; {nearest(name, templates)}", "write & as %26")
            templates[name] = unquote(template)
        return cls(path, **templates)

    @property
    def place(self) -> str:
        """The task as messages call it, without its templates."""
        return f"{SCHEME}{self.path}"

    def __str__(self) -> str:
        """The task's name: it parses to this again."""
        templates = {"inputs": self.inputs, "targets": self.targets}
        query = "&".join(f"{name}={_RESERVED.sub(_quoted, text)}" for name, text in templates.items() if text)
        return f"{self.place}?{query}" if query else self.place


def fill(template: str, value: Callable[[str], str]) -> str:
    """The template with `value(field)` for each field."""
    return _BRACES.sub(lambda match: value(match[1]) if match[1] else match[0][0], template)


def with_templates(tasks: Sequence[str], inputs: str | None, targets: str | None) -> tuple[str, ...]:
    """The tasks, the files among them with these templates. UserError if there is no file among them."""
    given = {name: template for name, template in (("inputs", inputs), ("targets", targets)) if template}
    own = [FileTask.parse(task) for task in tasks]
    if given and not any(own):
        raise UserError(f"a template is for a task that is a file, not for {', '.join(tasks)}", "name it as file:PATH")
    return tuple(str(replace(file, **given)) if file else task for task, file in zip(tasks, own, strict=True))


def absolute(task: str) -> str:
    """The task's name as it is found from every folder."""
    own = FileTask.parse(task)
    return str(replace(own, path=str(Path(own.path).expanduser().absolute()))) if own else task


def shown(task: str) -> str:
    """The task as messages and tables call it: a file without its templates."""
    own = FileTask.parse(task)
    return own.place if own else task


def short_name(task: str) -> str:
    """A task in the name of a folder. A file is called by its stem, and train.csv by its folder, if that is given."""
    own = FileTask.parse(task)
    if own is None:
        return task.replace("/", ".").replace(":", ".")
    path = Path(own.path)
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    names = [path.parent.name, stem] if stem == "train" else [stem]
    return next(filter(None, (re.sub(r"[^\w.-]+", "-", name).strip(".-")[:40] for name in names)), "data")


def _quoted(match: re.Match) -> str:
    return f"%{ord(match[0]):02X}"
