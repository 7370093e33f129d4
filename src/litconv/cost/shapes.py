"""Shapes of a trace's values."""

import math
from typing import Any

from fvcore.nn.jit_handles import get_shape


def shape(value: Any) -> list[int] | None:
    """None for what is no tensor."""
    return get_shape(value) if value.isCompleteTensor() else None


def numel(value: Any) -> int:
    return math.prod(get_shape(value))
