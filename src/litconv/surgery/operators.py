"""Operators by name: `depthwise_separable` is the class DepthwiseSeparable of litconv.conv.depthwise_separable."""

import inspect
import pkgutil
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any

from torch import nn

import litconv.conv
from litconv.conv.slot import ConvFactory
from litconv.errors import ConfigError, did_you_mean

SLOT = ["in_channels", "out_channels", "kernel_size", "stride", "dilation"]


def operator_named(name: str) -> type[nn.Module]:
    if operator := class_in(name):
        return operator
    names = [n for n in modules() if class_in(n)]
    raise ConfigError(f"conv={name}: unknown operator{did_you_mean(name, names)}; there are {', '.join(names)}")


def modules() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(litconv.conv.__path__))


def class_in(name: str) -> type[nn.Module] | None:
    """Of the file of that name, the class that has its name without underscores."""
    if name not in modules():
        return None
    module = import_module(f"{litconv.conv.__name__}.{name}")
    for kind in vars(module).values():
        if inspect.isclass(kind) and kind.__name__.lower() == name.replace("_", "") and takes_slot(kind):
            return kind
    return None


def takes_slot(kind: type) -> bool:
    parameters = list(inspect.signature(kind).parameters.values())
    return [p.name for p in parameters[:5]] == SLOT and [p.default for p in parameters[2:5]] == [3, 1, 1]


def factory(conv: str | ConvFactory, options: Mapping[str, Any]) -> partial:
    """With its options bound."""
    made = operator_named(conv) if isinstance(conv, str) else conv
    if not callable(made):
        slot = "in_channels, out_channels, kernel_size=3, stride=1, dilation=1"
        raise ConfigError(f"conv={made!r} must be an operator's name, such as grouped, or a factory conv({slot})")
    parameters = inspect.signature(made).parameters.values()
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    accepted = [p.name for p in parameters if p.name not in SLOT and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    for option, value in options.items():
        if option in SLOT:
            raise ConfigError(f"{option}={value} has no effect: every layer keeps its own {option}; remove it")
        if isinstance(conv, str) and option == "groups" and (isinstance(value, bool) or not isinstance(value, int)):
            raise ConfigError(f"groups={value!r} must be a whole number, such as groups=4")
        if option not in accepted and not takes_any:
            hint = did_you_mean(option, accepted)
            raise ConfigError(
                f"{option}={value}: conv={label(made)} has no such option{hint}; it takes {', '.join(accepted) or 'none'}"
            )
    return partial(made, **options)


def kind_of(made: ConvFactory) -> Any:
    """The class or function under all that is bound."""
    while isinstance(made, partial):
        made = made.func
    return made


def label(made: ConvFactory) -> str:
    kind = kind_of(made)
    return str(getattr(kind, "__name__", kind))


def bound(made: ConvFactory, option: str) -> Any:
    """Its value, None where nothing says it."""
    if isinstance(made, partial):
        return made.keywords[option] if option in made.keywords else bound(made.func, option)
    parameter = inspect.signature(made).parameters.get(option)
    return None if parameter is None or parameter.default is inspect.Parameter.empty else parameter.default
