"""Does a value fit a field's annotation? The two ways in: a Python value (from gin) and text (typed after a flag)."""

import ast
import collections.abc
import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import typeguard

_SEQUENCES = (tuple, collections.abc.Sequence)
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def fit(value: Any, hint: Any) -> Any:
    """`value` as `hint` wants it: an int becomes a float, a list a tuple, a string a Path. Raises TypeError otherwise."""
    if _is_union(hint):
        return _first_fit(value, get_args(hint))
    if hint is float and type(value) is int:
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint in (int, float) and isinstance(value, bool):  # Python's bool is an int; nobody who writes True means 1
        raise TypeError
    if isinstance(value, list | tuple) and (get_origin(hint) or hint) in _SEQUENCES:
        return _fit_items(value, get_args(hint))
    if isinstance(value, list | tuple) and (get_origin(hint) or hint) is list:
        return list(_fit_items(value, get_args(hint)))
    try:
        return typeguard.check_type(value, hint, collection_check_strategy=typeguard.CollectionCheckStrategy.ALL_ITEMS)
    except typeguard.TypeCheckError:
        raise TypeError from None


def read(text: str, hint: Any, pick: Callable[[str, Any], Any]) -> Any:
    """What `text` means for a field annotated `hint`; ValueError if nothing. `pick(text, hint)` names an object's class."""
    if _is_union(hint):
        return _first_read(text, get_args(hint), pick)
    if hint in (None, type(None)):
        return _match(text, {"None": None, "none": None})
    if get_origin(hint) is Literal:
        return _match(unquoted(text), {str(choice): choice for choice in get_args(hint)})
    if hint is bool:
        return _match(text.lower(), _WORDS)
    if hint in (int, float):
        return _number(hint(text))
    if hint in (str, Any, Path):
        return Path(unquoted(text)) if hint is Path else unquoted(text)
    if (get_origin(hint) or hint) in (*_SEQUENCES, list):
        parts = [part.strip() for part in text.split(",")] if text.strip() else []
        return tuple(read(part, _item(hint, i), pick) for i, part in enumerate(parts))
    return pick(text, hint)


def element(hint: Any) -> Any:
    """The annotation of a sequence's items: `tuple[int, ...]` -> int. Any when it says nothing."""
    for option in get_args(hint) if _is_union(hint) else (hint,):
        if (get_origin(option) or option) in (*_SEQUENCES, list):
            return _item(option, 0)
    return Any


def accepts_text(hint: Any) -> bool:
    """True if only a string (or a path, or None) fits, so brackets and `@` in what was typed are part of the text."""
    return all(option in (str, Path, type(None)) for option in (get_args(hint) if _is_union(hint) else (hint,)))


def classes(hint: Any) -> list[type]:
    """The dataclasses that a value of this annotation may be made of; for a Protocol or base class, those beside it."""
    if dataclasses.is_dataclass(hint):
        return [typing.cast(type, hint)]
    if inspect.isclass(hint) and get_origin(hint) is None and hint.__module__ not in ("builtins", "typing", "pathlib"):
        beside = vars(sys.modules[hint.__module__]).values()
        return [item for item in beside if isinstance(item, type) and dataclasses.is_dataclass(item) and _provides(item, hint)]
    found = [cls for argument in get_args(hint) for cls in classes(argument)]
    return list(dict.fromkeys(found))


def is_flag(hint: Any) -> bool:
    """True for a bool, which may be given as `--name` and `--no-name`."""
    return hint is bool or (_is_union(hint) and bool in get_args(hint))


def describe(hint: Any) -> str:
    """The annotation in words: "int", "float or tuple of float", "'gelu' or 'relu'"."""
    if _is_union(hint):
        return _either(describe(option) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return _either(repr(choice) for choice in get_args(hint))
    if (get_origin(hint) or hint) in (*_SEQUENCES, list) and get_args(hint):
        items = [describe(item) for item in get_args(hint) if item is not ...]
        return f"tuple of {_either(dict.fromkeys(items))}"
    if hint is type(None):
        return "None"
    return getattr(hint, "__name__", str(hint).replace("typing.", ""))


def unquoted(text: str) -> str:
    """`'a'` and `"a"` -> `a`: gin users quote twice, once for the shell and once for gin."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        try:
            return str(ast.literal_eval(text))
        except (SyntaxError, ValueError):
            pass
    return text


def _number(value: float) -> float:
    """Itself. ValueError for NaN, which no comparison refuses and no gin file can say."""
    if value != value:
        raise ValueError
    return value


def _first_fit(value: Any, options: Iterable[Any]) -> Any:
    for option in sorted(options, key=lambda option: option is not type(value)):  # 1 is an int before it is a float
        try:
            return fit(value, option)
        except TypeError:
            continue
    raise TypeError


def _first_read(text: str, options: Iterable[Any], pick: Callable[[str, Any], Any]) -> Any:
    for option in sorted(options, key=lambda option: option in (str, Path)):  # anything is a string: try that last
        try:
            return read(text, option, pick)
        except (ValueError, TypeError):
            continue
    raise ValueError


def _fit_items(values: list | tuple, kinds: tuple) -> tuple:
    if not kinds:
        return tuple(values)
    if len(kinds) == 2 and kinds[1] is ... or len(kinds) == 1:
        return tuple(fit(value, kinds[0]) for value in values)
    if len(kinds) != len(values):
        raise TypeError
    return tuple(fit(value, kind) for value, kind in zip(values, kinds, strict=True))


def _item(hint: Any, i: int) -> Any:
    kinds = [kind for kind in get_args(hint) if kind is not ...]
    return kinds[min(i, len(kinds) - 1)] if kinds else Any


def _match(text: str, choices: dict[str, Any]) -> Any:
    if text not in choices:
        raise ValueError
    return choices[text]


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _provides(cls: type, hint: type) -> bool:
    """Does `cls` implement `hint`: a subclass, or, for a Protocol, one with the same public methods?"""
    if not getattr(hint, "_is_protocol", False):
        return issubclass(cls, hint)
    methods = [name for name, member in vars(hint).items() if callable(member) and (name == "__call__" or name[0] != "_")]
    return bool(methods) and all(hasattr(cls, name) for name in methods)


def _either(words: Iterable[str]) -> str:
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else last
