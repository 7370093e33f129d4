"""A class or a function of litconv's own as its source says it: fields, constants and signatures, without a body and without
what they import."""

import ast
import copy
import importlib
import sys
from functools import cache
from pathlib import Path
from typing import Any

OWN = "litconv"
FOLDER = Path(__file__).resolve().parents[1]
UNREAD = object()  # a default that is not a literal


class UnreadError(LookupError):
    """The source does not say it."""


@cache
def stub_of(address: str) -> Any:
    """The class or function without what it does: bodies, decorators, bases of other packages and values that are not
    literals are left out."""
    module, node = find(address)
    if isinstance(node, ast.ClassDef):
        bases = own_bases(module, node)
        decorators = [decorator for decorator in node.decorator_list if "dataclass" in ast.unparse(decorator)]
        body = [kept for statement in node.body if (kept := kept_of(statement))]
        tree = ast.ClassDef(
            node.name, [ast.Name(base, ast.Load()) for base in bases], [], body or [ast.Pass()], decorators
        )
    elif isinstance(node, ast.FunctionDef):
        bases, tree = {}, without_body(node)
    else:
        raise UnreadError(address)
    names = meanings(module, tree) | bases | {"UNREAD": UNREAD, "__name__": module}
    exec(compile(ast.fix_missing_locations(ast.Module([tree], [])), module, "exec"), names)
    return names[node.name]


def kept_of(statement: ast.stmt) -> ast.stmt | None:
    match statement:
        case ast.FunctionDef(name="__init__"):
            return without_body(statement)
        case ast.AnnAssign(target=target, annotation=annotation, value=value, simple=1):
            return ast.AnnAssign(target, annotation, value and literal(value), 1)
        case ast.Assign(targets=[ast.Name()], value=value) if is_literal(value):
            return statement
    return None


def without_body(node: ast.FunctionDef) -> ast.FunctionDef:
    arguments = copy.copy(node.args)
    arguments.defaults = [literal(value) for value in arguments.defaults]
    arguments.kw_defaults = [value and literal(value) for value in arguments.kw_defaults]
    return ast.FunctionDef(node.name, arguments, [ast.Pass()], [])


def literal(value: ast.expr) -> ast.expr:
    return value if is_literal(value) else ast.Name("UNREAD", ast.Load())


def is_literal(value: ast.expr) -> bool:
    is_set = isinstance(value, ast.Call) and ast.unparse(value.func) == "frozenset" and value.args
    inner = value.args[0] if is_set else value
    try:
        ast.literal_eval(inner)
    except (ValueError, TypeError):
        return False
    return True


def own_bases(module: str, node: ast.ClassDef) -> dict[str, type]:
    bases = {}
    for name in map(ast.unparse, node.bases):
        try:
            bases[name] = stub_of(f"{module}.{name}")
        except UnreadError:
            continue
    return bases


# -- names -------------------------------------------------------------------------------------------------------------


@cache
def statements(module: str) -> dict[str, ast.stmt]:
    """Top-level name → the statement that binds it."""
    package, *names = module.split(".")
    folder = FOLDER.joinpath(*names)
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    if package != OWN or not path.is_file():
        raise UnreadError(module)
    return {name: statement for statement in ast.parse(path.read_bytes()).body for name in bound_by(statement)}


def bound_by(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            return [name]
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [alias.asname or alias.name.partition(".")[0] for alias in aliases]
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def find(address: str) -> tuple[str, ast.stmt]:
    """The module that defines a dotted name and the statement that does, through the imports of modules that re-export it."""
    module, _, name = address.rpartition(".")
    statement = statements(module).get(name)
    if isinstance(statement, ast.ImportFrom):
        return find(f"{statement.module}.{original(statement, name)}")
    if statement is None:
        raise UnreadError(address)
    return module, statement


def original(statement: ast.Import | ast.ImportFrom, name: str) -> str:
    return next((alias.name for alias in statement.names if alias.asname == name), name)


def meanings(module: str, tree: ast.AST) -> dict[str, Any]:
    """What the names of annotations and decorators mean; builtins are left to Python."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return {name: meaning(module, name) for name in names & statements(module).keys()}


def meaning(module: str, name: str) -> Any:
    """Of a name from the standard library that very thing; of an alias its value; of any other class an empty one, of
    which no value of a yaml is an instance."""
    match statements(module)[name]:
        case ast.Import() as statement if (origin := original(statement, name)) in sys.stdlib_module_names:
            return importlib.import_module(origin)
        case ast.ImportFrom(module=origin) as statement if origin.partition(".")[0] in sys.stdlib_module_names:
            return getattr(importlib.import_module(origin), original(statement, name))
        case ast.ImportFrom(module=origin) as statement if origin.partition(".")[0] == OWN:
            where, _ = find(f"{module}.{name}")
            return meaning(where, original(statement, name))
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            expression = ast.Expression(value)
            return eval(compile(expression, module, "eval"), meanings(module, expression))
    return Unknown(name, (), {})


class Unknown(type):
    """A class or a module that is not imported."""

    def __getattr__(cls, name: str) -> "Unknown":
        if name.startswith("__"):
            raise AttributeError(name)
        return Unknown(name, (), {})

    def __getitem__(cls, _: Any) -> "Unknown":
        return cls
