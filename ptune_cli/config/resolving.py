"""Bindings + flags -> one object, built from the leaves up, with a row for each value that says where it was set."""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ptune_cli import gin_text
from ptune_cli.config import annotations
from ptune_cli.config.names import short
from ptune_cli.config.reading import Bindings, Macro, Reference, Setting, Text
from ptune_cli.errors import UserError, nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One value of a configuration: `optimizer.learning_rate`, 0.3, "runs/demo.gin:12" (or a flag, or "default")."""

    name: str
    value: Any
    origin: str
    replaces: str = ""


@dataclass(frozen=True)
class Resolved:
    """A configuration: the object, the gin text that rebuilds it, where each value was set, and what nothing used."""

    object: Any
    text: str
    rows: list[Row]
    unused: list[str]  # "optimizer.Adam.b1 (runs/demo.gin:7)"


def load(
    cls: type[T],
    files: Sequence[str] = (),
    bindings: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    search_paths: Sequence[str] = (),
) -> tuple[T, str]:
    """Build one `cls`; return it and the gin text that rebuilds it. Raises UserError, one line, for whatever is wrong.

    files: gin files, looked for in the current folder, then `search_paths`, then the folder that ships with ptune.
    bindings: "NAME=VALUE", as after `--gin.`. flags: {"optimizer.learning_rate": "0.3"}; text is read by the field's type.
    """
    resolved = resolve(cls, files, bindings, flags, search_paths)
    return resolved.object, resolved.text


def resolve(
    cls: type,
    files: Sequence[str] = (),
    bindings: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    search_paths: Sequence[str] = (),
) -> Resolved:
    """`load`, with where each value was set."""
    bound = Bindings(_modules(cls), search_paths)
    for name in files:
        bound.read_file(name)
    for assignment in bindings:
        bound.read_flag(assignment)
    builder = _Builder(bound, flags or {})
    try:
        built = builder.build(cls)
    except RecursionError:
        raise UserError(f"{short(cls)} cannot be built", "a macro or a reference leads back to itself") from None
    builder.check_flags_used()
    return Resolved(built, gin_text.write(built), builder.rows, _unused(bound))


class _Builder:
    def __init__(self, bindings: Bindings, flags: Mapping[str, Any]):
        self.rows: list[Row] = []
        self._bindings = bindings
        self._flags = {name: Text(value) if isinstance(value, str) else value for name, value in flags.items()}
        self._used: set[str] = set()

    def build(self, cls: type, path: str = "", scope: tuple[str, ...] = (), origin: str = "default", default: Any = None) -> Any:
        """One object of `cls`. `path` is its name ("optimizer"); `default` is the Python default it takes the place of."""
        self._check_flags(cls, path)
        hints = typing.get_type_hints(cls)
        values, origins = {}, {}
        for field in dataclasses.fields(cls):
            if field.init:
                name = f"{path}.{field.name}" if path else field.name
                setting = self._setting(cls, field, hints[field.name], name, scope, default)
                origins[field.name] = setting.origin
                values[field.name] = self._value(setting, cls, field, hints[field.name], name, scope)
        try:
            return cls(**values)
        except (UserError, ValueError) as error:  # a check of the class itself
            where = _blamed(str(error), {name: item for name, item in origins.items() if item != "default"}) or origin
            subject = "" if isinstance(error, UserError) else f"{short(cls)}: "
            raise UserError(f"{subject}{error}" if where == "default" else f"{where}: {subject}{error}") from None

    def check_flags_used(self) -> None:
        for name in self._flags.keys() - self._used:
            parent = name.rpartition(".")[0]
            raise UserError(f"--{name} has nothing to act on", f"--{parent} is not an object that has parts")

    def _check_flags(self, cls: type, path: str) -> None:
        prefix = f"{path}." if path else ""
        names = [field.name for field in dataclasses.fields(cls) if field.init]
        for flag in self._flags:
            name = flag.removeprefix(prefix).partition(".")[0]
            if flag.startswith(prefix) and name not in names:
                raise UserError(f"--{flag}: {short(cls)} has no parameter '{name}'", nearest(name, names))

    def _setting(
        self, cls: type, field: dataclasses.Field, hint: Any, name: str, scope: tuple[str, ...], default: Any
    ) -> Setting:
        bound = self._bindings.field(cls, field.name, scope)
        if name in self._flags:
            self._used.add(name)
            return Setting(self._flags[name], f"--{name}", bound.origin if bound else "")
        if bound and bound.value != Macro("gin.REQUIRED"):
            return bound
        if default is not None:
            setting = Setting(getattr(default, field.name), "default")
        elif field.default is not dataclasses.MISSING:
            setting = Setting(field.default, "default")
        elif field.default_factory is not dataclasses.MISSING:
            setting = Setting(field.default_factory(), "default")
        else:
            setting = None
        if setting is None or (setting.value is None and any(flag.startswith(f"{name}.") for flag in self._flags)):
            return self._only_choice(cls, field, hint, name)
        return setting

    def _only_choice(self, cls: type, field: dataclasses.Field, hint: Any, name: str) -> Setting:
        """An object for a field that has none, if its annotation leaves no choice of class."""
        choices = annotations.classes(hint)
        if len(choices) == 1:
            return Setting(Reference(choices[0]), "default")
        if choices:
            raise UserError(f"{short(cls)}.{field.name} is not chosen", f"give --{name} {_either(choices)}")
        given = field.name.upper() if field.metadata.get("positional") else f"--{name}"
        raise UserError(f"{short(cls)}.{field.name} is not set", f"give {given}, or set it in a gin file")

    def _value(self, setting: Setting, cls: type, field: dataclasses.Field, hint: Any, name: str, scope: tuple[str, ...]) -> Any:
        """Evaluate and check one field, and write its row: before the rows of the objects in it."""
        at = len(self.rows)
        value, origin = self._evaluate(setting.value, hint, name, scope, setting.origin), setting.origin
        try:
            value = annotations.fit(value, hint)
        except TypeError:
            subject = "" if origin.startswith("--") else f"{short(cls)}.{field.name} = "
            given = f"{subject}{gin_text.shown(value)} ({type(value).__name__})"
            raise UserError(f"{origin}: {given} should be {annotations.describe(hint)}") from None
        if isinstance(setting.value, Macro):
            origin = f"{origin} = %{setting.value.name}, {self._bindings.macro(setting.value.name, origin).origin}"
        self.rows.insert(at, Row(name, value, origin, setting.replaces))
        return value

    def _evaluate(self, value: Any, hint: Any, name: str, scope: tuple[str, ...], origin: str) -> Any:
        if isinstance(value, Text):
            value = self._read(value, hint, origin)
        if isinstance(value, Macro):
            value, scope = self._bindings.macro(value.name, origin).value, tuple(value.name.split("/"))
            return self._evaluate(value, hint, name, scope, origin)
        if isinstance(value, Reference):
            return self.build(value.cls, name, value.scope or scope, origin)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.build(type(value), name, scope, origin, default=value)
        if isinstance(value, list | tuple):
            kind = annotations.element(hint)
            return type(value)(self._evaluate(item, kind, f"{name}.{i}", scope, origin) for i, item in enumerate(value))
        if isinstance(value, dict):
            return {key: self._evaluate(item, Any, f"{name}.{key}", scope, origin) for key, item in value.items()}
        return value

    def _read(self, text: str, hint: Any, origin: str) -> Any:
        """What was typed after a flag, as the field's annotation understands it."""
        if text.startswith("%"):
            return Macro(text[1:])
        if text.startswith(("@", "(", "[", "{")) and not annotations.accepts_text(hint):
            return self._bindings.parse(text, origin)
        try:
            return annotations.read(str(text), hint, _pick)
        except (ValueError, TypeError):
            raise UserError(f"{origin}: '{text}' should be {annotations.describe(hint)}") from None


def _pick(text: str, hint: Any) -> Any:
    """The class called `text`, in any case, among those an object may have: `--optimizer adam`."""
    for cls in annotations.classes(hint):
        if text.lower() == cls.__name__.lower():
            return Reference(cls)
    raise ValueError


def _blamed(message: str, origins: Mapping[str, str]) -> str:
    """Where the fields that a message is about were set: those it names, or the only one that was set at all."""
    words = message.replace("_", " ")
    named = [origin for name, origin in origins.items() if name.replace("_", " ") in words]
    return ", ".join(dict.fromkeys(named or (origins.values() if len(origins) == 1 else ())))


def _modules(cls: type) -> list[str]:
    """The modules of every class that a field of `cls`, or of an object in it, may hold."""
    found, queue = [], [cls]
    while queue:
        found.append(queue.pop())
        hints = typing.get_type_hints(found[-1]).values()
        queue += [item for hint in hints for item in annotations.classes(hint) if item not in found and item not in queue]
    return [item.__module__ for item in found]


def _unused(bindings: Bindings) -> list[str]:
    unused = list(bindings.unused())
    for name, origin in unused:
        if origin.startswith("--"):
            raise UserError(f"{origin}: nothing uses {name}", "see where each value comes from with --explain")
    return [f"{name} ({origin})" for name, origin in unused]


def _either(choices: Sequence[type]) -> str:
    return " or ".join(choice.__name__ for choice in choices)
