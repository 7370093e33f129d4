"""What a class or a function takes, read from its source: importing torch and Lightning to learn it takes six seconds.

A wrong command line is answered from this. What is imported already is asked itself; what cannot be read (C, names made
at run time) is imported after all.
"""

import ast
import inspect
import pkgutil
import sys
import typing
from dataclasses import dataclass, field
from functools import cache
from inspect import Parameter
from typing import Any

from litconv.config.declared.annotations import UNREAD, evaluated, literal
from litconv.config.declared.source import Module, UnreadError, find, within

__all__ = ["Declared", "declared", "imported", "read"]


@dataclass(frozen=True)
class Declared:
    home: str  # the module that defines it
    is_class: bool
    parameters: dict[str, Parameter]  # with evaluated annotations; `object` where nothing can be said
    constants: dict[str, Any] = field(default_factory=dict)  # of a class: its attributes that are literals


@cache
def declared(name: str) -> Declared:
    """Of a dotted name. Raises ImportError and AttributeError as importing it would."""
    try:
        return imported(pkgutil.resolve_name(name)) if name.rpartition(".")[0] in sys.modules else read(name)
    except UnreadError:
        return imported(pkgutil.resolve_name(name))


def read(name: str) -> Declared:
    """The same from its source. Raises UnreadError where that does not say it."""
    module, node = find(name)
    if isinstance(node, ast.ClassDef):
        return Declared(module.name, True, class_parameters(module, node), class_constants(module, node))
    if isinstance(node, ast.FunctionDef):
        return Declared(module.name, False, function_parameters(module, node))
    raise UnreadError(name)


def imported(found: Any) -> Declared:
    """The same of the object itself."""
    is_class = inspect.isclass(found)
    try:
        hints = typing.get_type_hints(found.__init__ if is_class else found)
    except (NameError, TypeError):  # of names that only a type checker knows, or of C
        hints = {}
    parameters = {
        name: parameter.replace(annotation=hints.get(name, object))
        for name, parameter in inspect.signature(found).parameters.items()
    }
    constants = {name: getattr(found, name) for name in dir(found) if not name.startswith("_")} if is_class else {}
    return Declared(getattr(found, "__module__", None) or "", is_class, parameters, constants)


def bases(place: Module, node: ast.ClassDef) -> list[tuple[Module, ast.ClassDef]]:
    """Those whose source can be read, from the left; without the abstract ones of the standard library."""
    found = []
    for base in node.bases:
        name = ast.unparse(base)
        try:
            first, _, rest = name.partition(".")
            if rest:
                owner = place.names.get(first)
                if not isinstance(owner, ast.Import):
                    raise UnreadError(name)
                alias = next(a for a in owner.names if (a.asname or a.name.partition(".")[0]) == first)
                where, statement = find(f"{alias.name if alias.asname else first}.{rest}")
            else:
                where, statement = within(place, first)
        except UnreadError:
            continue
        if isinstance(statement, ast.ClassDef):
            found.append((where, statement))
    return found


def class_parameters(place: Module, node: ast.ClassDef) -> dict[str, Parameter]:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return dict(list(function_parameters(place, statement).items())[1:])
    if is_dataclass(node):
        return dataclass_parameters(place, node)
    for where, base in bases(place, node):
        return class_parameters(where, base)
    raise UnreadError(node.name)


def is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list)


def dataclass_parameters(place: Module, node: ast.ClassDef) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    keyword_only = any("kw_only=True" in ast.unparse(decorator) for decorator in node.decorator_list)
    for where, base in bases(place, node):
        if is_dataclass(base):
            found |= dataclass_parameters(where, base)
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if "ClassVar" in ast.unparse(statement.annotation):
                continue
            default = Parameter.empty if statement.value is None else literal(statement.value)
            kind = Parameter.KEYWORD_ONLY if keyword_only else Parameter.POSITIONAL_OR_KEYWORD
            annotation = evaluated(place, statement.annotation)
            found[statement.target.id] = Parameter(statement.target.id, kind, default=default, annotation=annotation)
    return found


def class_constants(place: Module, node: ast.ClassDef) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for where, base in reversed(bases(place, node)):
        found |= class_constants(where, base)
    for statement in node.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                if (read := literal(value)) is not UNREAD:
                    found[name] = read
    return found


def function_parameters(place: Module, node: ast.FunctionDef) -> dict[str, Parameter]:
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    rows = [(a, d, Parameter.POSITIONAL_OR_KEYWORD) for a, d in zip(positional, defaults, strict=True)]
    if arguments.vararg:
        rows.append((arguments.vararg, None, Parameter.VAR_POSITIONAL))
    rows += [(a, d, Parameter.KEYWORD_ONLY) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg:
        rows.append((arguments.kwarg, None, Parameter.VAR_KEYWORD))
    return {
        argument.arg: Parameter(
            argument.arg,
            kind,
            default=Parameter.empty if default is None else literal(default),
            annotation=evaluated(place, argument.annotation) if argument.annotation else object,
        )
        for argument, default, kind in rows
    }
