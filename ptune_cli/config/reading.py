"""gin text -> what it binds, each value with the file and line it came from. The only import of gin.

A file's names come from its own imports, as in gin. A name on the command line is the end of a class's full name
(`Train.steps`, `train.Train.steps`), looked up among the classes beside those the files import and the command can hold.
"""

import dataclasses
import re
import sys
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from gin import config_parser

from ptune_cli.config import names, search
from ptune_cli.config.names import short
from ptune_cli.errors import UserError, nearest


@dataclass(frozen=True)
class Reference:
    """`@scope/module.Class()`: one object of `cls`, whose fields are looked up under `scope`."""

    cls: type
    scope: tuple[str, ...] = ()


@dataclass(frozen=True)
class Macro:
    """`%NAME`."""

    name: str


class Text(str):
    """What was typed after a flag. Its meaning depends on the field that it is for."""


@dataclass(frozen=True)
class Setting:
    """A value, where it was set, and where one that it replaces was set."""

    value: Any
    origin: str
    replaces: str = ""


@dataclass(frozen=True)
class Name:
    """A reference as written, until its class is known."""

    text: str
    evaluate: bool


class _Delegate(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Name:
        return Name(scoped_configurable_name, evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


class Bindings:
    """Everything the files and `--gin.NAME=VALUE` bind; a later setting replaces an earlier one."""

    def __init__(self, modules: Sequence[str], search_paths: Sequence[str] = ()):
        self._modules = set(modules)  # where the command line looks for classes
        self._search_paths = search_paths
        self._fields: dict[tuple[str, type, str], Setting] = {}
        self._macros: dict[str, Setting] = {}
        self._used: set[str | tuple[str, type, str]] = set()

    def read_file(self, name: str, origin: str = "", including: tuple[str, ...] = ()) -> None:
        """Read a gin file and what it includes. `origin` is where it was asked for: an include's file and line."""
        path = search.find(name, self._search_paths, origin)
        shown = search.shown(path)
        if shown in including:
            raise UserError(f"{origin}'{name}' includes itself", " -> ".join((*including, shown)))
        imports: dict[str, ModuleType] = {}
        for statement in statements(path):
            self._take(statement, f"{shown}:{statement.location.line_num}", imports, (*including, shown))

    def read_flag(self, assignment: str) -> None:
        """Read the NAME=VALUE of a `--gin.NAME=VALUE`. Without a dot, NAME is a macro."""
        key, equals, text = assignment.partition("=")
        origin = f"--gin.{key}"
        if not equals:
            raise UserError(f"{origin} has no value", f"write {origin}=VALUE")
        scope, selector, field = config_parser.parse_binding_key(key.strip())
        if field:
            self._bind(scope, names.known(selector, origin, self._modules), field, Text(text.strip()), origin)
        else:
            _replace(self._macros, f"{scope}/{selector}" if scope else selector, Text(text.strip()), origin)

    def field(self, cls: type, name: str, scope: tuple[str, ...]) -> Setting | None:
        """What is bound to a field of an object built under `scope`; the innermost scope wins, as in gin.

        What is bound of a class holds for the classes derived from it, unless the same is bound of them.
        """
        found, bases = None, cls.__mro__[::-1]
        for key in [("/".join(scope[:depth]), base, name) for depth in range(len(scope) + 1) for base in bases]:
            if key in self._fields:
                self._used.add(key)
                found = self._fields[key]
        return found

    def macro(self, name: str, origin: str) -> Setting:
        """The value of `%name`, used at `origin`."""
        if name not in self._macros:
            raise UserError(f"{origin}: %{name} is not defined", nearest(name, self._macros))
        self._used.add(name)
        return self._macros[name]

    def classes(self) -> set[type]:
        """Every class that a field is bound of."""
        return {cls for _, cls, _ in self._fields}

    def unused(self) -> Iterator[tuple[str, str]]:
        """Name and origin of each setting that nothing asked for."""
        for name, setting in self._macros.items():
            if name not in self._used:
                yield name, setting.origin
        for (scope, cls, field), setting in self._fields.items():
            if (scope, cls, field) not in self._used:
                yield f"{scope}/{short(cls)}.{field}" if scope else f"{short(cls)}.{field}", setting.origin

    def parse(self, text: str, origin: str) -> Any:
        """A gin value typed on the command line: `@optimizer.Adam()`, `(1, 2)`."""
        try:
            value = next(_statements(f"value = {text}")).value
        except (SyntaxError, tokenize.TokenError) as error:
            raise UserError(f"{origin}: cannot read '{text}': {_syntax(error)[1]}") from None
        return _resolved(value, origin, lambda name: names.known(name, origin, self._modules))

    def _take(self, statement: Any, origin: str, imports: dict[str, ModuleType], including: tuple[str, ...]) -> None:
        if isinstance(statement, config_parser.ImportStatement):
            self._import(statement, origin, imports)
        elif isinstance(statement, config_parser.IncludeStatement):
            self.read_file(statement.filename, f"{origin}: ", including)
        elif isinstance(statement, config_parser.BlockDeclaration):
            names.imported(statement.selector, origin, imports)
        else:
            value = _resolved(statement.value, origin, lambda name: names.imported(name, origin, imports))
            if statement.arg_name:
                cls = names.imported(statement.selector, origin, imports)
                self._bind(statement.scope, cls, statement.arg_name, value, origin)
            else:
                name = f"{statement.scope}/{statement.selector}" if statement.scope else statement.selector
                _replace(self._macros, name, value, origin)

    def _import(self, statement: config_parser.ImportStatement, origin: str, imports: dict[str, ModuleType]) -> None:
        if statement.module == "__gin__.dynamic_registration":
            return
        module = names.import_module(statement.module, origin)
        self._modules.add(module.__name__)
        imports[statement.bound_name()] = module if statement.is_from or statement.alias else sys.modules[statement.bound_name()]

    def _bind(self, scope: str, cls: type, field: str, value: Any, origin: str) -> None:
        parameters = [item.name for item in dataclasses.fields(cls) if item.init]
        if field not in parameters:
            raise UserError(f"{origin}: {short(cls)} has no parameter '{field}'", nearest(field, parameters))
        _replace(self._fields, (scope, cls, field), value, origin)


def statements(path: Path) -> Iterator[Any]:
    """What a gin file says, in order, as gin's parser has it: imports, includes, bindings. UserError for what is not gin."""
    shown = search.shown(path)
    try:
        with path.open(encoding="utf-8") as file:
            yield from _statements(file)
    except (SyntaxError, tokenize.TokenError) as error:
        line, message = _syntax(error)
        raise UserError(f"{shown}:{line}: {message}") from None
    except UnicodeDecodeError:
        raise UserError(f"{shown} is not a text file", "give a gin file") from None


def _statements(source: Any) -> Iterator[Any]:
    yield from config_parser.ConfigParser(source, _Delegate())


def _replace(settings: dict, key: Any, value: Any, origin: str) -> None:
    settings[key] = Setting(value, origin, settings[key].origin if key in settings else "")


def _resolved(value: Any, origin: str, find: Callable[[str], type]) -> Any:
    """`value` with the class of every reference in it found."""
    if isinstance(value, Name):
        if not value.evaluate:
            raise UserError(f"{origin}: '@{value.text}' does not end in ()", f"write @{value.text}()")
        *scope, selector = value.text.split("/")
        return Reference(find(selector), tuple(scope))
    if isinstance(value, list | tuple):
        return type(value)(_resolved(item, origin, find) for item in value)
    if isinstance(value, dict):
        return {key: _resolved(item, origin, find) for key, item in value.items()}
    return value


def _syntax(error: SyntaxError | tokenize.TokenError) -> tuple[int, str]:
    """Line and one-line message of what gin's parser raised."""
    if isinstance(error, tokenize.TokenError):
        return error.args[1][0], f"{error.args[0]}: a bracket or a quote is not closed"
    token = re.search(r"Failed to parse token '(.*)'", error.msg or "", re.DOTALL)
    if token:
        return error.lineno or 1, f"cannot read {token[1]!r} as a value; text needs quotes"
    return error.lineno or 1, " ".join((error.msg or "not gin syntax").split()).rstrip(".")
