"""From runs to a verdict: collect, statistics, Pareto fronts, tables, figures, a page.

>>> from litconv.compare import analyse, load
>>> runs = load("outputs/sweeps/operators")  # a pandas.DataFrame
>>> analyse(runs, "operators").comparisons["grouped"].p_holm
"""

from importlib import import_module
from typing import Any

PUBLIC = {
    "Question": "question",
    "load": "collect",
    "analyse": "analysis",
    "Result": "result",
    "write_report": "report",
}
__all__ = ["Question", "Result", "analyse", "load", "write_report"]


def __getattr__(name: str) -> Any:
    """Imported when asked for: pandas and scipy take a second, and a typo should not wait for them."""
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)
