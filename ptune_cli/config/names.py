"""Classes by name: what a gin file's imports provide, and what a name typed on the command line means."""

import dataclasses
import importlib
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from ptune_cli.errors import UserError, nearest


def full(cls: type) -> str:
    """`ptune_cli.training.optimizer.Adafactor`."""
    return f"{cls.__module__}.{cls.__qualname__}"


def short(cls: type) -> str:
    """`optimizer.Adafactor`: the name as gin files have it."""
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__qualname__}"


def imported(selector: str, origin: str, imports: Mapping[str, ModuleType]) -> type:
    """The dataclass that `optimizer.Adam` means in a file with these imports."""
    first, *rest = selector.split(".")
    if first not in imports:
        raise UserError(f"{origin}: '{first}' in '{selector}' is not imported by this file", nearest(first, imports))
    found: Any = imports[first]
    for name in rest:
        if not hasattr(found, name):
            raise UserError(f"{origin}: {getattr(found, '__name__', first)} has no '{name}'", nearest(name, _class_names(found)))
        found = getattr(found, name)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise UserError(f"{origin}: '{selector}' is not a dataclass", "only dataclasses are configured")
    return found


def known(selector: str, origin: str, modules: Iterable[str]) -> type:
    """The dataclass in `modules` whose full name ends in `selector`."""
    classes = {full(cls): cls for module in modules for cls in _dataclasses(sys.modules[module])}
    found = [name for name in classes if f".{name}".endswith(f".{selector}")]
    if not found:
        parts = selector.count(".") + 1
        ends = {".".join(name.split(".")[-parts:]) for name in classes}
        raise UserError(f"{origin}: no class '{selector}'", nearest(selector, ends))
    if len(found) > 1:
        raise UserError(f"{origin}: '{selector}' may be any of {', '.join(sorted(found))}", "write more of the name")
    return classes[found[0]]


def import_module(name: str, origin: str) -> ModuleType:
    """Import for a gin file; UserError with the nearest name if there is no such module."""
    try:
        return importlib.import_module(name)
    except SyntaxError as error:
        raise UserError(f"{origin}: {name} is not Python: {error.filename}:{error.lineno}: {error.msg}") from None
    except ModuleNotFoundError as error:
        missing = error.name or name
    if not f"{name}.".startswith(f"{missing}."):
        raise UserError(f"{origin}: {name} needs '{missing}', which is not installed")
    parent, _, last = missing.rpartition(".")
    if not parent:
        raise UserError(f"{origin}: no module '{missing}'", "install it, or run where it lies")
    package = sys.modules[parent]
    if hasattr(package, last):
        raise UserError(f"{origin}: '{missing}' is no module", f"import {parent} and write {parent.rpartition('.')[2]}.{last}")
    modules = [module.name for module in pkgutil.iter_modules(getattr(package, "__path__", ()))]
    raise UserError(f"{origin}: no module '{missing}'", nearest(last, modules))


def _class_names(module: Any) -> list[str]:
    return [cls.__name__ for cls in _dataclasses(module)]


def _dataclasses(module: Any) -> list[type]:
    return [item for item in vars(module).values() if isinstance(item, type) and dataclasses.is_dataclass(item)]
