"""What an nn.Module costs, for a model of one's own too. Knows no configuration; the only package that imports fvcore.

>>> litconv.cost.count(model, in_channels=3, image_size=(224, 224)).macs

What is named here is imported when it is first asked for: the table of keys serves comparisons, which do without torch.
"""

from importlib import import_module
from typing import Any

HOMES = {
    **dict.fromkeys(("Count", "UnfitImageError", "count"), "counter"),
    "Layer": "layers",
    **dict.fromkeys(("Measured", "measure"), "measurement"),
}
__all__ = sorted(HOMES)


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
