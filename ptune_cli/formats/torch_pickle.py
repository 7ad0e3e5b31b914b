"""The pickle of a PyTorch state dict, read as data: a small machine of our own for the operations that such a file consists of.

Nothing is imported and nothing is called, whatever the file asks for, and nothing is allocated that the file does not hold.
"""

import pickletools
from typing import Any

from ptune_cli.formats.torch_views import Forbidden, View, made, named, storage

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
SCALARS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
CONTAINERS = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
NOTHING = {"PROTO", "FRAME", "STOP"}


def state_dict(pickle: bytes) -> dict[str, View]:
    """The tensors of a state dict by their names.

    Raises:
        Forbidden: it asks for a name beyond those of a state dict.
        ValueError, TypeError, LookupError: it is damaged, or holds something else.
    """
    machine = _Machine()
    for operation, argument, _ in pickletools.genops(pickle):
        machine.step(operation.name, argument)
    (found,) = machine.stack
    if not isinstance(found, dict) or not all(isinstance(view, View) for view in found.values()):
        raise ValueError("holds something else than a dict of tensors")
    return found


class _Machine:
    """A stack of values, marks in it, and what was put aside by number; as in `pickle`, but plain data alone comes out."""

    def __init__(self):
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._aside: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in SCALARS:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in CONTAINERS:
            self.stack.append(CONTAINERS[name]())
        elif name in TUPLES:
            self.stack.append(tuple(self._pop(TUPLES[name])))
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self._aside[argument])
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._aside[len(self._aside) if argument is None else argument] = self.stack[-1]
        elif name == "GLOBAL":
            self.stack.append(named(argument))
        elif name not in NOTHING:
            self._build(name)

    def _build(self, name: str) -> None:
        if name == "MARK":
            self._marks.append(len(self.stack))
        elif name == "TUPLE":
            self.stack.append(tuple(self._pop_marked()))
        elif name == "STACK_GLOBAL":
            self.stack.append(named(" ".join(self._pop(2))))
        elif name == "BINPERSID":
            self.stack.append(storage(*self._pop(1)))
        elif name == "REDUCE":
            self.stack.append(made(*self._pop(2)))
        elif name in ("SETITEM", "SETITEMS"):
            _set(self._pop(2) if name == "SETITEM" else self._pop_marked(), self.stack[-1])
        elif name in ("APPEND", "APPENDS"):
            added = self._pop(1) if name == "APPEND" else self._pop_marked()
            self.stack[-1].extend(added)
        elif name == "BUILD":
            self._pop(1)  # torch's `_metadata`, an attribute of the dict: the versions of its modules
        else:
            raise Forbidden(f"the operation {name}")

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("ends too early")
        found = self.stack[-count:]
        del self.stack[-count:]
        return found

    def _pop_marked(self) -> list[Any]:
        mark = self._marks.pop()
        found = self.stack[mark:]
        del self.stack[mark:]
        return found


def _set(items: list[Any], into: Any) -> None:
    keys, values = items[::2], items[1::2]
    if not isinstance(into, dict) or not all(isinstance(key, str) for key in keys):
        raise ValueError("holds a dict whose keys are not names")
    into.update(zip(keys, values, strict=True))
