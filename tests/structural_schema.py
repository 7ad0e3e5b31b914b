"""Validation by a Kubernetes structural schema, made strict: what the schema does not name is an error, as a typo would be."""

from collections.abc import Iterator
from typing import Any

_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}


def errors(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """What is wrong with `value`, each with its path."""
    if schema.get("x-kubernetes-int-or-string"):
        kinds: Any = (int, str)
    else:
        kinds = _TYPES[schema["type"]]
    if not isinstance(value, kinds) or isinstance(value, bool) != (kinds is bool):
        yield f"{path}: {value!r} is not {schema.get('type', 'int or string')}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not one of {schema['enum']}"
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from errors(item, schema["items"], f"{path}[{i}]")
    elif isinstance(value, dict):
        yield from (f"{path}: no {name}" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            below = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            yield from errors(item, below, f"{path}.{name}") if below else (f"{path}: unknown field {name}",)
