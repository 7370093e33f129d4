"""A summary's numbers, for loggers whose summary lies among the curves."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

CURVES = ("train/", "val/")


def scalars(summary: Mapping[str, Any]) -> dict[str, float]:
    """Those that are finite. What is named like a curve is `summary/…`: `val/accuracy` of the tested checkpoint is no
    further point of the curve."""
    return {
        f"summary/{key}" if key.startswith(CURVES) else key: value
        for key, value in summary.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    }
