"""A frozen dataclass -> the gin text that rebuilds it: every value, defaults included, so the text outlives changed defaults.

It stands apart from `config` because a command writes its own configuration into its run folder, and needs no gin for that.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

_HEADER = "# A resolved configuration: every value, defaults included. Give it back with --gin THIS_FILE.\n"


def write(configuration: Any) -> str:
    """gin text for a dataclass and the dataclasses in it, as `config.load` and gin itself read it.

    Fields with metadata `saved=False` are left out. Raises TypeError for a value that gin has no syntax for.
    """
    text = _Text()
    text.reference(configuration, ())
    imports = [_import(module, name) for module, name in sorted(text.modules.items())]
    sections = ["\n".join(lines) for lines in text.sections]
    return "\n".join([_HEADER + "from __gin__ import dynamic_registration", *imports, "", "\n\n".join(sections), ""])


def shown(value: Any) -> str:
    """A value in a message or a table: an object by its class alone, anything else as gin writes it."""
    if dataclasses.is_dataclass(value):
        return type(value).__name__
    if isinstance(value, list | tuple):
        comma = "," if len(value) == 1 else ""
        return f"({', '.join(map(shown, value))}{comma})"
    return repr(str(value)) if isinstance(value, Path) else repr(value)


class _Text:
    def __init__(self) -> None:
        self.modules: dict[str, str] = {}  # module -> the name it is imported as
        self.sections: list[list[str]] = []  # one per object, parents first
        self._written: dict[tuple, str] = {}  # (class, values) -> reference, so that equal objects are written once
        self._scopes: set[str] = set()

    def reference(self, item: Any, path: tuple[str, ...]) -> str:
        """The `scope/module.Class` of an object at `path`, after writing its fields."""
        cls = type(item)
        at = len(self.sections)
        self.sections.append([])
        values = {field.name: self._value(getattr(item, field.name), (*path, field.name)) for field in _saved(cls)}
        key = (cls, tuple(values.items()))
        if key in self._written:
            del self.sections[at]  # its own objects are equal too, so nothing was written after it
            return self._written[key]
        name = f"{self._module(cls.__module__)}.{cls.__qualname__}"
        if any(other is cls for other, _ in self._written):  # gin binds classes; a scope tells a second object from the first
            name = f"{self._scope(path)}/{name}"
        self._written[key] = name
        self.sections[at] = [f"{name}.{field} = {value}" for field, value in values.items()]
        return name

    def _value(self, value: Any, path: tuple[str, ...]) -> str:
        if dataclasses.is_dataclass(value):
            return f"@{self.reference(value, path)}()"
        if isinstance(value, list | tuple):
            items = [self._value(item, (*path, str(i))) for i, item in enumerate(value)]
            return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
        if isinstance(value, dict):
            return f"{{{', '.join(f'{key!r}: {self._value(item, (*path, str(key)))}' for key, item in value.items())}}}"
        if isinstance(value, float) and math.isinf(value):
            return "1e999" if value > 0 else "-1e999"  # gin reads literals, and Python has none for infinity
        if value is None or isinstance(value, bool | int | str | Path) or (isinstance(value, float) and not math.isnan(value)):
            return shown(value)
        raise TypeError(f"{'.'.join(path)} = {value!r} cannot be written as gin")

    def _module(self, module: str) -> str:
        if module not in self.modules:
            last = module.rpartition(".")[2]
            taken = set(self.modules.values()) | {"gin"}
            self.modules[module] = next(
                name for name in (last, *(f"{last}_{i}" for i in range(2, len(taken) + 3))) if name not in taken
            )
        return self.modules[module]

    def _scope(self, path: tuple[str, ...]) -> str:
        scope = "_".join("".join(c if c.isalnum() else "_" for c in part) for part in path)
        while scope in self._scopes:
            scope += "_"
        self._scopes.add(scope)
        return scope


def _saved(cls: type) -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(cls) if field.init and field.metadata.get("saved", True)]


def _import(module: str, name: str) -> str:
    package, _, last = module.rpartition(".")
    alias = "" if name == last else f" as {name}"
    return f"from {package} import {last}{alias}" if package else f"import {module}{alias}"
