"""One colour and one marker for each arm, in every figure and on the page."""

from collections.abc import Sequence

from litconv.compare.arms import Arm

# Told apart by most colour-blind readers, and on white as well as on black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#c98a00", "#3fa0dc", "#8c564b", "#7a68c9", "#5f8a1f", "#b2182b")
MARKERS = ("o", "s", "^", "v", "P", "X")  # of matplotlib
SYMBOLS = ("circle", "square", "triangle-up", "triangle-down", "cross", "x")  # the same of plotly
REFERENCE = "#808080"


def colours(arms: Sequence[Arm], baselines: Sequence[Arm]) -> dict[str, str]:
    """Name → colour; a reference is grey."""
    others = [arm.name for arm in arms if arm not in baselines]
    styles = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(others)}
    return styles | {arm.name: REFERENCE for arm in baselines}


def marker(arms: Sequence[Arm], baselines: Sequence[Arm]) -> dict[str, int]:
    """Name → place in MARKERS and SYMBOLS: another one each time the colours have been gone through."""
    others = [arm.name for arm in arms if arm not in baselines]
    styles = {name: i // len(COLOURS) % len(MARKERS) for i, name in enumerate(others)}
    return styles | {arm.name: i % len(MARKERS) for i, arm in enumerate(baselines)}
