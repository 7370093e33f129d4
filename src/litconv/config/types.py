"""Values against the types that the signatures of their classes declare."""

import inspect
import re
from collections.abc import Container, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from litconv.config.composed import declared, short_name_in, written_and_resolved


def type_faults(path: str, node: Mapping) -> list[str]:
    """Values that are not of the type in the signature of the class; short names are called by their short name."""
    parameters = declared(node).parameters
    faults = []
    written, resolved = written_and_resolved(node)
    for key, value in resolved.items():
        if key not in parameters or value == parameters[key].default:
            continue
        hint = parameters[key].annotation
        if not matches(value, hint):
            short = short_name_in(written[key]) if isinstance(written[key], str) else None
            linked = re.fullmatch(r"\$\{(\w+)\}", written[key]) if isinstance(written[key], str) else None
            name = short or (linked[1] if linked else f"{path}.{key}")
            faults.append(f"{name}={shown(value)} must be {describe(hint)}")
    return faults


def unknown_faults(path: str, node: Mapping, added: Container[str]) -> list[str]:
    """What the group's yaml has for a class that another `_target_` has replaced."""
    parameters = declared(node).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return []
    left = [key for key in map(str, node) if key not in parameters and not key.startswith("_")]
    return [
        f"{path}.{key} is nothing that {node['_target_']} takes; remove it by ~{path}.{key}"
        for key in left
        if f"{path}.{key}" not in added
    ]


def shown(value: Any) -> str:
    return "''" if value == "" else "null" if value is None else str(value)


def matches(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint in (bool, str, type(None)):
        return isinstance(value, hint)
    if origin is Literal:
        return value in arguments
    if origin is Union or type(hint).__name__ == "UnionType":
        return any(matches(value, a) for a in arguments)
    if hint is not Any and inspect.isclass(hint) and (value is None or isinstance(value, str | int | float)):
        return isinstance(value, hint)
    return True


def describe(hint: Any) -> str:
    names = {
        int: "an integer",
        float: "a number",
        bool: "true or false",
        str: "a text",
        list: "a list",
        type(None): "null",
    }
    if hint in names:
        return names[hint]
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    parts = [describe(a) for a in get_args(hint) if a in names or get_origin(a) is Literal]
    return " or ".join(dict.fromkeys(" or ".join(parts).split(" or "))) if parts else str(hint)
