"""What a class or a function takes. litconv's own are read from their source; anything else is imported and asked.

Importing torch and Lightning takes seconds, and a wrong command line is to be answered within one. So of litconv's own
a stub is made of the source (`stubs`). What the source does not say, such as an `__init__` that is inherited from torch, is
imported after all.
"""

import inspect
import pkgutil
import sys
import typing
from dataclasses import dataclass, field
from functools import cache
from inspect import Parameter
from typing import Any

from litconv.config.stubs import UnreadError, stub_of


@dataclass(frozen=True)
class Signature:
    module: str  # that defines it
    name: str  # there
    is_class: bool
    parameters: dict[str, Parameter]  # with evaluated annotations; `object` where nothing can be said
    constants: dict[str, Any] = field(default_factory=dict)  # the public attributes of a class


@cache
def signature(address: str) -> Signature:
    """Of a dotted name. Raises ImportError and AttributeError as importing it would."""
    is_loaded = address.rpartition(".")[0] in sys.modules
    return imported(pkgutil.resolve_name(address)) if is_loaded or needs_import(address) else read(address)


def needs_import(address: str) -> bool:
    try:
        read(address)
    except UnreadError:
        return True
    return False


def imported(thing: Any) -> Signature:
    """The signature of the object itself."""
    is_class = inspect.isclass(thing)
    try:
        hints = typing.get_type_hints(thing.__init__ if is_class else thing)
    except (AttributeError, NameError, SyntaxError, TypeError):  # names that only a type checker knows, or C
        hints = {}
    parameters = {}
    for name, parameter in inspect.signature(thing).parameters.items():
        unsaid = parameter.annotation is Parameter.empty or isinstance(parameter.annotation, str)
        parameters[name] = parameter.replace(annotation=hints.get(name, object if unsaid else parameter.annotation))
    constants = {name: getattr(thing, name) for name in dir(thing) if not name.startswith("_")} if is_class else {}
    return Signature(getattr(thing, "__module__", None) or "", thing.__qualname__, is_class, parameters, constants)


@cache
def read(address: str) -> Signature:
    """The signature of one of litconv's own, from its source. Raises UnreadError where that does not say it."""
    try:
        stub = stub_of(address)
    except (AttributeError, NameError, TypeError) as error:  # an annotation that computes something
        raise UnreadError(address) from error
    if inspect.isclass(stub) and not any("__init__" in vars(base) for base in stub.__mro__[:-1]):
        raise UnreadError(address)
    return imported(stub)
