"""A command's dataclass <-> its command line: what the flags mean, and `--help`.

Not argparse: it must know every flag before the gin files are read, but what `--optimizer.` may be followed by depends on
them, and an optional value (`--json [true]`) swallows the argument after it. Not tyro: its errors are boxes of several
lines, and it reads `--seeds 0 1 2`, not `0,1,2`. What is needed is one pass over the arguments.
"""

import dataclasses
import inspect
import shutil
import textwrap
import typing
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ptune_cli import gin_text
from ptune_cli.config import annotations, comments
from ptune_cli.errors import UserError, nearest

COMMON_HELP = (
    ("  --gin FILE", "read a gin file (again for more: the later wins); --gin_file is the same"),
    ("  --gin.NAME VALUE", "set any parameter, --gin.optimizer.Adam.b1 0.8, or macro, --gin.LR 0.1"),
    ("  --gin_search_paths FOLDER,...", "where else to look for gin files (as in the variable PTUNE_GIN_PATH)"),
    ("  --explain", "print each value and where it was set (with --json: as JSON), and stop"),
    ("  --help", "print this, and stop"),
)
_COMMON = ("gin", "gin_search_paths", "explain", "help")
_FILES = ("gin", "gin_file")
_BOOLEAN = ("true", "false")


@dataclass
class Arguments:
    """A command line, taken apart. `flags` are keyed as configuration names: "optimizer.learning_rate"."""

    files: list[str] = field(default_factory=list)
    bindings: list[str] = field(default_factory=list)
    search_paths: list[str] = field(default_factory=list)
    flags: dict[str, Any] = field(default_factory=dict)
    explain: bool = False
    json: bool = False  # of --explain
    help: bool = False


def parse(cls: type, argv: list[str]) -> Arguments:
    """Read the arguments of a command. `-` and `_` are the same in a name; `--name value` and `--name=value` too."""
    arguments, unnamed, rest = Arguments(), [], deque(argv)
    while rest:
        argument = rest.popleft()
        if argument == "--":
            unnamed += rest
            break
        elif argument == "-h":
            arguments.help = True
        elif argument.startswith("--"):
            _take(cls, argument[2:], rest, arguments)
        else:
            unnamed.append(argument)
    _take_unnamed(cls, unnamed, arguments.flags)
    if arguments.explain:  # then --json says how to print it
        arguments.json = arguments.flags.pop("json", False) not in (False, "false")
    elif "json" in arguments.flags and "json" not in _hints(cls):
        raise _unknown(cls, "json")
    return arguments


def _take(cls: type, argument: str, rest: deque[str], arguments: Arguments) -> None:
    name, equals, given = argument.partition("=")
    value = given if equals else None
    if name.startswith("gin."):  # its name is a Python name, where `-` has no place
        arguments.bindings.append(f"{name.removeprefix('gin.')}={_next(name, value, rest)}")
        return
    name = name.replace("-", "_")
    if name in _FILES:
        arguments.files.append(annotations.unquoted(_next(name, value, rest)))
    elif name == "gin_search_paths":
        arguments.search_paths += _next(name, value, rest).split(",")
    elif name in ("explain", "help"):
        setattr(arguments, name, True)
    else:
        _take_field(cls, name, value, rest, arguments)


def _take_field(cls: type, name: str, value: str | None, rest: deque[str], arguments: Arguments) -> None:
    hint = bool if name == "json" else _hint(cls, name)
    if hint is None and name.startswith("no_") and annotations.is_flag(_hint(cls, name[3:])) and value is None:
        arguments.flags[name[3:]] = False
    elif hint is None and "." not in name:
        raise _unknown(cls, name)
    elif annotations.is_flag(hint) and value is None and not (rest and rest[0].lower() in _BOOLEAN):
        arguments.flags[name] = True
    else:
        arguments.flags[name] = _next(name, value, rest, hint)


def _unknown(cls: type, name: str) -> UserError:
    return UserError(f"no flag --{name}", nearest(f"--{name}", [f"--{known}" for known in (*_hints(cls), *_COMMON)]))


def _next(name: str, value: str | None, rest: deque[str], hint: Any = str) -> str:
    """The flag's value: after `=`, or else the next argument, which may start with one dash (`-1`, `-`) but not two."""
    if value is not None:
        return value
    if not rest or rest[0].startswith("--"):
        raise UserError(f"--{name} has no value", f"expected {annotations.describe(hint)}")
    return rest.popleft()


def _take_unnamed(cls: type, unnamed: list[str], flags: dict[str, Any]) -> None:
    for item in positionals(cls):
        if item.name in flags or not unnamed:
            continue
        if annotations.element(_hints(cls)[item.name]) is Any:
            flags[item.name] = unnamed.pop(0)
        else:
            flags[item.name], unnamed = tuple(unnamed), []
    if unnamed:
        raise UserError(f"unexpected argument '{unnamed[0]}'", "a list is written a,b,c; a flag starts with --")


def positionals(cls: type) -> list[dataclasses.Field]:
    """The fields that may be given without a name, in order."""
    return [item for item in dataclasses.fields(cls) if item.metadata.get("positional")]


def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {item.name: hints[item.name] for item in dataclasses.fields(cls) if item.init}


def _hint(cls: type, name: str) -> Any:
    """The annotation that `optimizer.factored` leads to, in the first class that has it; None if none does."""
    first, _, rest = name.partition(".")
    hint = _hints(cls).get(first)
    if not rest or hint is None:
        return hint
    found = (_hint(choice, rest.partition(".")[2] if rest[0].isdigit() else rest) for choice in annotations.classes(hint))
    return next((item for item in found if item is not None), None)


def help_text(name: str, cls: type) -> str:
    """What `ptune NAME --help` prints: the docstring of the class, then each flag with its comment and its default."""
    unnamed = "".join(f" {item.name.upper()}" for item in positionals(cls))
    rows = [*_flag_rows(cls, "", {cls}), ("", ""), ("and for every command:", ""), *COMMON_HELP]
    width = min(shutil.get_terminal_size().columns, 130)
    return "\n".join(
        [
            f"usage: ptune {name}{unnamed} [--gin FILE] [--NAME VALUE] ...\n",
            f"{inspect.cleandoc(cls.__doc__ or '')}\n",
            "flags (`-` and `_` are the same in a name; a list is written a,b,c):",
            *(line for usage, text in rows for line in _wrapped(usage, text, width)),
        ]
    )


def _flag_rows(cls: type, prefix: str, seen: set[type]) -> Iterator[tuple[str, str]]:
    """(usage, help) of each field and, indented below it, of the objects that it may hold; of each class once."""
    helps, hints = comments.of_fields(cls), _hints(cls)
    for item in dataclasses.fields(cls):
        if item.name in hints:
            name, hint = prefix + item.name, hints[item.name]
            yield _usage(name, hint, item), f"{helps.get(item.name, '')} {_default(item, name)}".strip()
            below = f"{name}." if annotations.element(hint) is Any else f"{name}.N."
            choices = [choice for choice in annotations.classes(hint) if choice not in seen]
            seen.update(choices)  # before going deeper, so that a class is explained where it is nearest
            for choice in choices:
                yield f"  with {choice.__name__}:", ""
                yield from ((f"  {usage}", text) for usage, text in _flag_rows(choice, below, seen))


def _usage(name: str, hint: Any, item: dataclasses.Field) -> str:
    if item.metadata.get("positional"):
        return f"  {item.name.upper()} (or --{name} {_typed_kind(hint)})"
    return f"  --{name}" if annotations.is_flag(hint) else f"  --{name} {_typed_kind(hint)}"


def _typed_kind(hint: Any) -> str:
    """The annotation, as one would type a value of it: INT, FLOAT|FLOAT,..., Adam|SGD."""
    choices, item = annotations.classes(hint), annotations.element(hint)
    if choices:
        kind = "|".join(choice.__name__ for choice in choices)
        return kind if item is Any else f"{kind},..."
    if typing.get_origin(hint) is tuple:
        kinds = [_typed_kind(kind) for kind in typing.get_args(hint) if kind is not ...]
        return ",".join(kinds) + (",..." if ... in typing.get_args(hint) else "")
    if typing.get_origin(hint) is typing.Literal:
        return "|".join(map(str, typing.get_args(hint)))
    if typing.get_args(hint):
        return "|".join(_typed_kind(option) for option in typing.get_args(hint) if option is not type(None))
    return {str: "TEXT", bool: "true|false"}.get(hint, annotations.describe(hint).upper())


def _default(item: dataclasses.Field, name: str) -> str:
    if item.default is not dataclasses.MISSING:
        value = item.default
    elif item.default_factory is not dataclasses.MISSING:
        value = item.default_factory()
    else:
        return "(required)"
    if value is True:
        return f"(default; --no-{name} turns it off)"
    return "" if value is None or value is False or value in ((), "") else f"(default {_typed(value)})"


def _typed(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_typed, value))
    return value if isinstance(value, str) else gin_text.shown(value)


def _wrapped(usage: str, text: str, width: int) -> Iterator[str]:
    body = textwrap.wrap(text, max(width - 40, 30))
    if len(usage) > 38 or not body:
        yield usage
        usage = ""
    for i, line in enumerate(body):
        yield f"{'' if i else usage:<40}{line}"
