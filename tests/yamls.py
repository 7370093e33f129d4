"""The choices that conf/ offers: a test of every one of them finds it by its file."""

from itertools import cycle, islice, product
from pathlib import Path

import pytest

CONF = Path(__file__).parents[1] / "conf"


def own_backbones() -> list[str]:
    """Those of litconv; what other libraries bring has tests of its own."""
    return [
        name for name in names("backbone") if "litconv.backbones." in (CONF / "backbone" / f"{name}.yaml").read_text()
    ]


def names(group: str) -> list[str]:
    found = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    assert found, f"conf/{group} has no yaml"
    return found


CORE = (
    *("standard", "dilated", "grouped", "depthwise", "pointwise", "depthwise_separable", "separable", "bottleneck"),
    "deformable",
)


def in_turn(group: str, each: int = 2) -> list:
    """Operators with the choices of a group: the core set with all of them, the others with `each` of them in turn, so that
    all have their turn; the rest is slow. Parameters (operator, choice)."""
    choices = own_backbones() if group == "backbone" else names(group)
    turns = cycle(choices)
    quick = {(name, choice) for name in names("conv") for choice in (choices if name in CORE else islice(turns, each))}
    pairs = list(product(names("conv"), choices))
    return [pytest.param(*pair, marks=[] if pair in quick else pytest.mark.slow) for pair in pairs]
