"""The order of arms by score and by each cost."""

from collections.abc import Sequence

from litconv.compare.arms import Arm
from litconv.compare.metric import Metric


def ranks(arms: Sequence[Arm], metric: Metric, key: str | None) -> dict[str, int]:
    """Name → place, 1 the best score (key None) or the least of this cost; equal values share the better place."""
    if key is None:
        values = {arm.name: -metric.sign(arm.mean) for arm in arms}
    else:
        values = {arm.name: arm.costs[key] for arm in arms if key in arm.costs}
    return {name: 1 + sum(other < value for other in values.values()) for name, value in values.items()}
