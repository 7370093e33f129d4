"""The order of the arms by each scale, how alike two orders are, and which pairs of arms change places."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

from scipy.stats import spearmanr

from litconv.compare.arms import Arm
from litconv.compare.deployed.scales import EQUAL, Scale

FEWEST = 3  # arms that a rank correlation says something of


@dataclass(frozen=True)
class Flip:
    """Two arms whose order is one by `base` and the other by `scale`, both beyond noise."""

    base: Scale
    scale: Scale
    first: Arm  # costs less by `base`
    second: Arm

    @property
    def before(self) -> float:
        return self.base.of(self.first) / self.base.of(self.second)

    @property
    def after(self) -> float:
        return self.scale.of(self.first) / self.scale.of(self.second)


def ranks(arms: Sequence[Arm], scale: Scale) -> dict[str, int]:
    """Name → place, 1 costs least; equal values share the better place."""
    values = {arm.name: scale.of(arm) for arm in arms if scale.has(arm)}
    return {name: 1 + sum(other < value for other in values.values()) for name, value in values.items()}


def spearman(arms: Sequence[Arm], base: Scale, scale: Scale) -> float | None:
    """ρ over the arms that both know; None where they are too few or one of the two is the same for all."""
    both = [arm for arm in arms if base.has(arm) and scale.has(arm)]
    if len(both) < FEWEST or equal(both, base) or equal(both, scale):
        return None
    return float(spearmanr([base.of(arm) for arm in both], [scale.of(arm) for arm in both]).statistic)


def equal(arms: Sequence[Arm], scale: Scale) -> bool:
    """Within 2 % of their middle: an equal budget, and no order."""
    values = [scale.of(arm) for arm in arms if scale.has(arm)]
    return max(values) <= EQUAL * min(values)


def flips(arms: Sequence[Arm], base: Scale, scale: Scale) -> list[Flip]:
    """The largest first."""
    both = [arm for arm in arms if base.has(arm) and scale.has(arm)]
    found = [
        Flip(base, scale, one, other)
        for one, other in permutations(both, 2)
        if base.less(one, other) and scale.less(other, one)
    ]
    return sorted(found, key=lambda flip: flip.before / flip.after)


def compared_scales(scales: Sequence[Scale]) -> list[tuple[Scale, Scale]]:
    """Whose orders are held against each other: MACs and PyTorch with every other, and float32 with int8 on the same runtime."""
    pairs = []
    for base, scale in combinations(scales, 2):
        same = base.place and scale.place and base.place.runtime == scale.place.runtime
        if base.place is None or same:
            pairs.append((base, scale))
    return pairs
