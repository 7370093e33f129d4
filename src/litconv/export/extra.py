"""The packages of `pip install 'litconv[deploy]'`."""

import importlib
from types import ModuleType

from litconv.errors import ExportError


def require_packages(purpose: str, *names: str) -> list[ModuleType]:
    """They are imported, or `purpose`, which is what the user asked for, is refused."""
    modules, missing = [], []
    for name in names:
        try:
            modules.append(importlib.import_module(name))
        except ImportError:
            missing.append(name)
    if missing:
        are = f"{missing[0]}, which is" if len(missing) == 1 else f"{' and '.join(missing)}, which are"
        raise ExportError(f"{purpose} needs {are} not installed; run pip install 'litconv[deploy]'")
    return modules
