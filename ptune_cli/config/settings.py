"""What a gin file sets, under the names that flags have, and nothing is imported: for readers of runs, who need no JAX.

    of_file("runs/lester2021.gin", "ptune_cli.commands.train.Train")["optimizer.learning_rate"] == 0.3

Classes are only names here, so there are no defaults: a run's own config.gin has every value, a recipe has what it states.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptune_cli.config import search
from ptune_cli.config.reading import Macro, Name, statements
from ptune_cli.errors import UserError


def of_file(name: str, root: str) -> dict[str, Any]:
    """{"prompt": "Prompt", "prompt.length": 100, ...} for the object of class `root` ("package.module.Class").

    An object's value is the name of its class; what is in it has names of its own.
    UserError if there is no such file, if it is not gin, sets nothing of `root`, or sets what no object in it has.
    """
    found = _Bindings()
    found.read(search.find(name, ()), ())
    if root not in {cls for _, cls, _ in found.fields}:
        raise UserError(f"{name} sets nothing of {_short(root)}", "give the gin file of such a run")
    settings: dict[str, Any] = {}
    try:
        found.take(root, (), "", settings)
    except RecursionError:
        raise UserError(f"{name} cannot be read", "a macro or a reference leads back to itself") from None
    if left := [_Bindings.spelled(key) for key in found.fields if key not in found.used]:
        raise UserError(f"{name} sets {left[0]}, and no object in it has it", f"bind @{left[0].rpartition('.')[0]}() there")
    return settings


@dataclass(frozen=True)
class _Object:
    """A reference with its class's full name."""

    cls: str
    scope: tuple[str, ...]


Key = tuple[str, str, str]  # scope, class, field


@dataclass
class _Bindings:
    fields: dict[Key, Any] = field(default_factory=dict)
    macros: dict[str, Any] = field(default_factory=dict)
    used: set[Key] = field(default_factory=set)

    def read(self, path: Path, including: tuple[Path, ...]) -> None:
        """Take a file's statements, and those of the files that it includes."""
        if path in including:
            raise UserError(f"{search.shown(path)} includes itself")
        imports: dict[str, str] = {}  # the name in this file -> the module
        for statement in statements(path):
            if hasattr(statement, "module"):
                imports[statement.bound_name()] = statement.module if statement.is_from or statement.alias else ""
            elif hasattr(statement, "filename"):
                self.read(search.find(statement.filename, ()), (*including, path))
            elif hasattr(statement, "value"):
                self._bind(statement, imports)

    def take(self, cls: str, scope: tuple[str, ...], path: str, into: dict[str, Any]) -> None:
        """Write the fields of an object at `path` ("optimizer"), and of the objects in it."""
        prefix = f"{path}." if path else ""
        for name in dict.fromkeys(name for _, owner, name in self.fields if owner == cls):
            keys = [("/".join(scope[:depth]), cls, name) for depth in range(len(scope) + 1)]
            bound = [key for key in keys if key in self.fields]
            self.used.update(bound)
            if bound:  # the innermost scope wins
                into[prefix + name] = None  # an object stands before what is in it
                into[prefix + name] = self._plain(self.fields[bound[-1]], prefix + name, into)

    @staticmethod
    def spelled(key: Key) -> str:
        scope, cls, name = key
        return f"{scope}/{_short(cls)}.{name}" if scope else f"{_short(cls)}.{name}"

    def _bind(self, statement: Any, imports: Mapping[str, str]) -> None:
        value = _with_classes(statement.value, imports)
        if statement.arg_name:
            self.fields[statement.scope, _full(statement.selector, imports), statement.arg_name] = value
        else:
            self.macros[statement.selector] = value

    def _plain(self, value: Any, path: str, into: dict[str, Any]) -> Any:
        if isinstance(value, Macro):
            if value.name not in self.macros:
                raise UserError(f"%{value.name} is not defined")
            return self._plain(self.macros[value.name], path, into)
        if isinstance(value, _Object):
            self.take(value.cls, value.scope, path, into)
            return value.cls.rpartition(".")[2]
        if isinstance(value, list | tuple):
            return tuple(self._plain(item, f"{path}.{i}", into) for i, item in enumerate(value))
        return value


def _with_classes(value: Any, imports: Mapping[str, str]) -> Any:
    if isinstance(value, Name):
        *scope, selector = value.text.split("/")
        return _Object(_full(selector, imports), tuple(scope))
    if isinstance(value, list | tuple):
        return tuple(_with_classes(item, imports) for item in value)
    return value


def _full(selector: str, imports: Mapping[str, str]) -> str:
    """The class's full name: `optimizer.Adafactor` after `from ptune_cli.training import optimizer`."""
    first, _, rest = selector.partition(".")
    return f"{imports[first]}.{rest}" if imports.get(first) else selector


def _short(cls: str) -> str:
    return ".".join(cls.split(".")[-2:])
