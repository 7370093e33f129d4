"""The packages of `pip install 'litconv[deploy]'`: none of them is imported before it is needed."""

import importlib
from importlib.util import find_spec
from types import ModuleType

from litconv.errors import ExportError


def require_packages(purpose: str, *names: str) -> list[ModuleType]:
    """They are imported, or `purpose`, which is what the user asked for, is refused."""
    check_packages(purpose, *names)
    return [importlib.import_module(name) for name in names]


def check_packages(purpose: str, *names: str) -> None:
    """Whether they are there, without importing them."""
    missing = [name for name in dict.fromkeys(name.partition(".")[0] for name in names) if find_spec(name) is None]
    if missing:
        are = f"{missing[0]}, which is" if len(missing) == 1 else f"{' and '.join(missing)}, which are"
        raise ExportError(f"{purpose} needs {are} not installed; run pip install 'litconv[deploy]'")
