"""The house of CONTRIBUTING.md, held by reading imports (late ones too), names and texts."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from command import ROOT
from litconv.cost.keys import COST_KEYS

SRC = ROOT / "src"
# From the ground up. A module imports its own room and rooms on lower floors, nothing else. A loose module is a room, too.
FLOORS = (
    ("errors", "caches"),
    ("secrets", "signals", "files", "device", "distributed", "native"),
    ("conv",),
    ("optim", "sync_norm", "upsample", "loggers"),
    ("backbones",),
    ("heads", "data", "tasks"),
    ("callbacks", "cost"),
    ("config", "diagnostics", "surgery", "export"),
    ("build", "foreign", "runtimes"),
    ("run",),
    ("match", "trained"),
    ("prepare",),
    ("fit",),
    ("sweep", "deploy"),
    ("compare", "cluster"),
    ("claims",),
)
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
# Packages that take long to import, and where they must not be reached: a wrong command line and a sweep's launcher do without.
HEAVY = {
    "torch",
    "torchvision",
    "torchmetrics",
    "pytorch_lightning",
    "fvcore",
    "wandb",
    "pandas",
    "scipy",
    "matplotlib",
}
LIGHT = (
    "litconv.config",
    "litconv.run.asked",
    "litconv.run.state",
    "litconv.cost.keys",
    "litconv.sweep.session",
    "litconv.cluster.session",
    "litconv.cluster.array",
    "litconv.cluster.status",
    "litconv.cluster.ray_tasks",
)
# Names that another package keeps private, with the reason why no public one serves. The list may only shrink.
PRIVATE = {
    "torch.utils._python_dispatch": "TorchDispatchMode has no other home",
    "torch.utils._pytree": "tree_leaves has no other home",
    "torch._dynamo": "how often and how long it compiled, and its errors",
    "torch._C": "the tracer's state: frequent operations are written into the trace, at a fifth of the time",
    "torch.jit._trace": "the trace that fvcore reads",
    "_trace_module_map": "names the modules in a trace without two hooks on each",
    "_orig_mod": "what torch.compile has compiled",
    "_compiled_call_impl": "nn.Module.compile has no way back",
    "_iterator": "Lightning ends a loader's processes by this attribute",
    "_get_root": "the root of a node of the configuration",
    "_get_full_key": "the key under which a node stands",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(SRC.rglob("*.py"))}
OWN = {name: path for name, path in FILES.items() if name.startswith("litconv.")}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(statement: ast.stmt) -> Iterator[str]:
    """Dotted names; `from litconv.a import b` is litconv.a.b where that is a module, else litconv.a."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        assert not statement.level, "imports are absolute"
        for alias in statement.names:
            whole = f"{statement.module}.{alias.name}"
            yield whole if whole in FILES or not statement.module.startswith("litconv") else statement.module


def imports(module: str) -> set[str]:
    """Wherever in the module they stand."""
    return {name for node in ast.walk(tree(FILES[module])) for name in imported(node)}


def imports_at_once(module: str) -> set[str]:
    """Those that run when the module is imported, its packages' own included."""
    parents = {module.rpartition(".")[0]} & FILES.keys()
    return parents | {name for node in tree(FILES[module]).body for name in imported(node)}


def room(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("module", OWN)
def test_a_module_imports_its_own_room_and_lower_floors_alone(module):
    others = {room(name) for name in imports(module) if name.startswith("litconv.")} - {room(module)}
    assert {other: HEIGHT[other] < HEIGHT[room(module)] for other in others} == dict.fromkeys(others, True)


def test_every_room_has_a_floor_and_every_floor_its_rooms():
    assert {room(module) for module in OWN} == HEIGHT.keys()


def test_the_map_of_the_rooms_in_contributing_is_these_floors():
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(len(FLOORS)))
    assert [set(re.findall(r"`(\w+)/?`", rooms)) for _, rooms in rows] == [set(rooms) for rooms in FLOORS]


def test_at_most_ten_modules_are_in_no_package():
    loose = [path.name for path in (SRC / "litconv").glob("*.py") if path.name != "__init__.py"]
    assert 0 < len(loose) <= 10, sorted(loose)


def test_no_files_import_each_other_in_a_circle():
    graph = {module: imports(module) & FILES.keys() - {module} for module in FILES}
    assert sum(map(len, graph.values())) > 300
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as circle:
        pytest.fail(f"a circle: {' → '.join(circle.args[1])}")


@pytest.mark.parametrize("start", LIGHT)
def test_nothing_heavy_is_imported_where_a_command_line_is_judged(start):
    waiting, seen = [name for name in FILES if name == start or name.startswith(f"{start}.")], {}
    assert waiting
    while waiting:
        module = waiting.pop()
        for name in imports_at_once(module):
            assert name.partition(".")[0] not in HEAVY, f"{module} imports {name}"
            if name in FILES and name not in seen:
                seen[name] = module
                waiting.append(name)


def private_names() -> Iterator[tuple[str, str]]:
    """(private name of another package, file): of an import the shortest private prefix, of an attribute its own name."""
    paths = [*FILES.values(), ROOT / "train.py", *sorted((ROOT / "scripts").glob("*.py"))]
    for path in paths:
        nodes = list(ast.walk(tree(path)))
        defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        defined |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        defined |= {node.attr for node in nodes if is_of_self(node) and isinstance(node.ctx, ast.Store)}
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                for name in whole_names(node):
                    parts = name.split(".")
                    first = next((i for i, part in enumerate(parts) if is_private(part)), None)
                    if first is not None:
                        yield ".".join(parts[: first + 1]), path.name
            elif isinstance(node, ast.Attribute) and is_private(node.attr) and not is_of_self(node):
                owner = ast.unparse(node.value)
                if owner.startswith("torch.ops.") or node.attr in PUBLIC:
                    continue
                if owner == "torch":
                    yield f"torch.{node.attr}", path.name
                elif node.attr not in defined or not isinstance(node.value, ast.Name):
                    yield node.attr, path.name


# A leading underscore that hides nothing: NamedTuple's and os' documented names, and keys of Hydra.
PUBLIC = {"_replace", "_asdict", "_exit", "_target_", "_partial_"}


def whole_names(statement: ast.Import | ast.ImportFrom) -> list[str]:
    prefix = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
    return [f"{prefix}{alias.name}" for alias in statement.names]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_of_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def test_other_packages_private_names_are_those_of_the_list():
    used: dict[str, list[str]] = {}
    for name, path in private_names():
        used.setdefault(name, []).append(path)
    assert used.keys() == PRIVATE.keys(), {name: used.get(name) for name in used.keys() ^ PRIVATE.keys()}
    assert len(PRIVATE) <= 11


def test_every_cost_key_is_of_the_one_table_and_every_row_of_it_is_written_somewhere():
    table = SRC / "litconv" / "cost" / "keys.py"
    keys = re.compile(r"cost/[a-z0-9_]+|train/seconds")
    written = {
        node.value
        for path in FILES.values()
        if path != table
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and keys.fullmatch(node.value)
    }
    # cost/layers is a logger's table of the layers, no key of summary.json
    assert written - {"cost/layers"} == {cost.key for cost in COST_KEYS}
    assert len({cost.key for cost in COST_KEYS}) == len(COST_KEYS)


BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_of_litconv_is_there(path):
    """They are run by hand, and rarely."""
    for statement in ast.walk(tree(path)):
        if isinstance(statement, ast.ImportFrom) and statement.module.startswith("litconv"):
            module = importlib.import_module(statement.module)
            missing = [alias.name for alias in statement.names if not hasattr(module, alias.name)]
            assert all(f"{statement.module}.{name}" in FILES for name in missing), missing


def test_the_run_reads_as_its_story():
    lines = (ROOT / "train.py").read_text().splitlines()
    assert len(lines) <= 52
    (main,) = (
        node for node in tree(ROOT / "train.py").body if isinstance(node, ast.FunctionDef) and node.name == "main"
    )
    assert main.end_lineno - main.lineno < 45
