"""litconv: which convolution should my model use, and what does it cost?

>>> print(litconv.swap(model, conv="grouped", groups=4))
>>> litconv.load("outputs/runs/NAME").predict("photo.jpg")

What is named here is imported when it is first asked for: a wrong command line is answered without torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
HOMES = {"load": "trained", "Trained": "trained", "swap": "surgery", "Where": "surgery", "Report": "surgery"}
__all__ = sorted(HOMES)


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
