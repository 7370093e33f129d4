"""The options of a group against the signature of its class: unknown ones, missing ones, values of the wrong type."""

import inspect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite, isnan
from typing import Any, Literal, Union, get_args, get_origin

from litconv.config.composed import declared, short_name_in, written_and_resolved
from litconv.config.keys import CALLBACKS_PASSED, LOGGER_PASSED, PASSED, choices_that_take
from litconv.errors import did_you_mean

# How many arguments litconv passes in front. A class of another group says what it misses when it is built for the checks.
PASSED_IN_FRONT = {"conv": 2, "upsample": 2, "optim": 1, "schedule": 2, "match": 0, "callbacks.extra": 0}
STATED = {"optim": ("lr",)}  # the class's own default is not meant for anything in particular


def class_faults(path: str, node: Mapping, added: Collection[str]) -> Iterator[str]:
    """`added` are the keys that stand on the command line with a plus."""
    yield from unknown_options(path, node, added)
    yield from missing_options(path, node)
    yield from wrong_types(path, node)
    if path != "callbacks" and node.get("monitor") and "mode" not in node and "mode" in declared(node).parameters:
        yield (
            f"{path} monitors {node.monitor} without a mode, and the default may be the wrong extreme; "
            f"add {path}.mode=max or min"
        )


def unknown_options(path: str, node: Mapping, added: Collection[str]) -> Iterator[str]:
    parameters = declared(node).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    name = node["_target_"].rpartition(".")[2]
    for option in (option for option in map(str, node) if not option.startswith("_")):
        key = f"{path}.{option}"
        is_added = any(f"{key}.".startswith(f"{other}.") or other.startswith(f"{key}.") for other in added)
        passed = LOGGER_PASSED if path.startswith("logger.") else CALLBACKS_PASSED if path == "callbacks" else PASSED
        if is_added and option in passed:
            yield f"+{key} has no effect: litconv itself sets {option} of {name}; remove it"
        elif option in parameters or takes_any:
            continue
        elif is_added and path == "callbacks":
            yield f"+{key}: your own callbacks stand under extra: write +callbacks.extra.{option}._target_=package.module.Class"
        elif is_added:
            others = choices_that_take(option, path)
            meant = f"; those that do: {', '.join(others)}" if others else did_you_mean(option, list(parameters))
            yield f"+{key}: {name} takes no {option!r}{meant}; it takes {', '.join(parameters)}"
        else:  # the yaml's, for a class that another `_target_` has replaced
            yield f"{node['_target_']} takes no {option!r}; remove it with ~{key}"


def missing_options(path: str, node: Mapping) -> Iterator[str]:
    group = "callbacks.extra" if path.startswith("callbacks.extra.") else re.sub(r"_stage\d$", "", path)
    if group not in PASSED_IN_FRONT:
        return
    parameters = list(declared(node).parameters.values())
    required = [
        parameter.name
        for parameter in parameters[PASSED_IN_FRONT[group] :]
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    stated = [parameter.name for parameter in parameters if parameter.name in STATED.get(group, ())]
    for option in dict.fromkeys([*required, *stated]):
        if option not in node:
            yield f"{path}.{option} is missing, and {node['_target_']} needs it; set it with +{path}.{option}=…"


def wrong_types(path: str, node: Mapping) -> Iterator[str]:
    """Short names are called by their short name."""
    parameters = declared(node).parameters
    written, resolved = written_and_resolved(node)
    for option, value in resolved.items():
        if option not in parameters or value == parameters[option].default:
            continue
        hint = parameters[option].annotation
        if not is_finite(value, or_infinite=path.startswith("callbacks.")):
            if not is_linked(written[option]):  # else it is said of the key that it takes its value from
                yield f"{path}.{option}={shown(value)} must be finite"
        elif not matches(value, hint):
            text = written[option] if isinstance(written[option], str) else ""
            linked = re.fullmatch(r"\$\{(\w+)\}", text)
            key = short_name_in(text) or (linked[1] if linked else f"{path}.{option}")
            yield f"{key}={shown(value)} must be {describe(hint)}"


def is_linked(written: Any) -> bool:
    return isinstance(written, str) and written.startswith("${")


def is_finite(value: Any, or_infinite: bool = False) -> bool:
    """Of a number, or of all in a list; a callback's limit may be one that is never reached."""
    if isinstance(value, list):
        return all(is_finite(item, or_infinite) for item in value)
    return not isinstance(value, float) or isfinite(value) or (or_infinite and not isnan(value))


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
    if origin in (dict, list, tuple, Sequence):
        return isinstance(value, Mapping if origin is dict else list | tuple)
    if hint is not Any and inspect.isclass(hint) and (value is None or isinstance(value, str | int | float)):
        return isinstance(value, hint)
    return True


def describe(hint: Any) -> str:
    names = {
        int: "an integer",
        float: "a number",
        bool: "true or false",
        str: "a string",
        list: "a list",
        type(None): "null",
    }
    if hint in names:
        return names[hint]
    if get_origin(hint) in (list, tuple, Sequence):
        return "a list"
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    parts = [describe(a) for a in get_args(hint) if a in names or get_origin(a) in (Literal, list, tuple, Sequence)]
    return " or ".join(dict.fromkeys(" or ".join(parts).split(" or "))) if parts else str(hint)
