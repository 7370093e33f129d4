"""What annotations and literals of a source mean."""

import ast
import importlib
import typing
from typing import Any

from litconv.config.declared.source import Module, UnreadError, within

UNREAD = object()  # a default that is not a literal
STANDARD = ("typing", "typing_extensions", "collections.abc", "pathlib", "datetime", "os", "numbers")


def literal(node: ast.expr) -> Any:
    """The value of a literal, also in frozenset(…); else UNREAD."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "frozenset" and len(node.args) == 1:
        inner = literal(node.args[0])
        return UNREAD if inner is UNREAD else frozenset(inner)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return UNREAD


def evaluated(place: Module, annotation: ast.expr) -> Any:
    """The type that an annotation means; `object` where it is said by code."""
    try:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = ast.parse(annotation.value, mode="eval").body
        return eval(compile(ast.Expression(annotation), str(place.path), "eval"), {}, Names(place))
    except (TypeError, AttributeError, NameError, SyntaxError, UnreadError, RecursionError):
        return object


class Names(dict):
    """What a name in an annotation means: the builtins and typing's own, aliases of the module, and for classes of the
    source an empty class each: no value of a yaml is an instance of it."""

    def __init__(self, place: Module) -> None:
        super().__init__()
        self.place = place

    def __missing__(self, name: str) -> Any:
        for known in (__builtins__, vars(typing)):
            if name in known and name not in self.place.names:
                return known[name]
        statement = self.place.names.get(name)
        if isinstance(statement, ast.Import):
            # `import torch.nn` binds torch
            return Attributes(next((a.name for a in statement.names if a.asname == name), name))
        if isinstance(statement, ast.ImportFrom):
            origin = self.place.absolute(statement)
            if origin in STANDARD:
                return getattr(importlib.import_module(origin), name)
            # A class of C, or a module; the text of torch takes a while to read.
            if origin.partition(".")[0] == "torch":
                return Attributes(f"{origin}.{name}") if name.islower() else type(name, (), {})
        where, statement = within(self.place, name)
        return meaning(where, statement, name)


class Attributes:
    """A module in an annotation, such as torch in torch.Tensor."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> Any:
        if self.name in STANDARD:
            return getattr(importlib.import_module(self.name), name)
        return type(name, (), {})


def meaning(place: Module, statement: ast.stmt, name: str) -> Any:
    if isinstance(statement, ast.ClassDef):
        return type(name, (), {})
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        return evaluated(place, statement.value)
    raise UnreadError(name)
