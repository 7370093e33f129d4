"""Claims about operators, each an experiment with a verdict: conf/claims/*.yaml, run and judged by scripts/claims.py.

A claim holds hypotheses. One that is computed or measured says what it found by itself; one that needs training names arms, which
a sweep trains on one or several grounds (made data, real sets), and judges their runs by the statistics of `litconv.compare`.
"""

from importlib import import_module
from typing import Any

KINDS = {  # what a yaml's hypotheses may be
    "Gap": "gap",
    "Peak": "peak",
    "Reordering": "reordering",
    "LayerCosts": "layer_costs",
    "NetworkCosts": "network_costs",
    "Speed": "speed",
    "RankOne": "kernels",
    "Sobel": "kernels",
}
__all__ = sorted(KINDS)


def __getattr__(name: str) -> Any:
    """Imported when asked for: a wrong command line is answered before torch and scipy are there."""
    if name not in KINDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{KINDS[name]}"), name)
