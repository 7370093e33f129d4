"""What a trained network does inside, on any nn.Module and any batches: no configuration, one pass, constant memory.

>>> diagnose(model, batches).summary()["diagnostics/dead_channels"]

What is named here is imported when it is first asked for: the table of keys serves comparisons, which do without torch.
"""

from importlib import import_module
from typing import Any

__all__ = ["Diagnosis", "diagnose"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.diagnosis"), name)
