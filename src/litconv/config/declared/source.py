"""Where the source of a dotted name lies, found without running any of it."""

import ast
import importlib.util
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path


class UnreadError(LookupError):
    """The source does not say it."""


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    names: dict[str, ast.stmt] = field(repr=False)  # top-level name → the statement that binds it

    def absolute(self, statement: ast.ImportFrom) -> str:
        """The module that `from … import` names."""
        if not statement.level:
            return statement.module or ""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        for _ in range(statement.level - 1):
            package = package.rpartition(".")[0]
        return f"{package}.{statement.module}" if statement.module else package


@cache
def module(name: str) -> Module:
    path = source(name)
    names: dict[str, ast.stmt] = {}
    for statement in ast.parse(path.read_bytes()).body:
        for bound in bindings(statement):
            names[bound] = statement
    return Module(name, path, names)


def source(name: str) -> Path:
    """Where a module's text lies; its parents are not run, as `find_spec` of a submodule would do."""
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top) if top else None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise UnreadError(name)
    if not rest:
        return Path(spec.origin)
    folder = Path(spec.origin).parent.joinpath(*rest)
    for path in (folder / "__init__.py", folder.with_suffix(".py")):
        if path.is_file():
            return path
    raise UnreadError(name)


def bindings(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            return [name]
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [alias.asname or alias.name.partition(".")[0] for alias in names]
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def find(name: str) -> tuple[Module, ast.stmt]:
    """The statement that defines a dotted name, through the imports of packages that re-export it."""
    parent, _, leaf = name.rpartition(".")
    if not parent:
        raise UnreadError(name)
    return within(module(parent), leaf)


def within(place: Module, name: str) -> tuple[Module, ast.stmt]:
    statement = place.names.get(name)
    if isinstance(statement, ast.ImportFrom):
        alias = next(alias for alias in statement.names if (alias.asname or alias.name) == name)
        return find(f"{place.absolute(statement)}.{alias.name}")
    if statement is None or isinstance(statement, ast.Import):
        raise UnreadError(f"{place.name}.{name}")
    return place, statement
