"""The order of the arms by score and by each cost."""

from litconv.compare.result import Result


def ranks(result: Result, key: str | None) -> dict[str, int]:
    """Name → place, 1 the best score (key None) or the least of this cost; equal values share the better place."""
    if key is None:
        values = {arm.name: -result.metric.sign(arm.mean) for arm in result.arms}
    else:
        values = {arm.name: arm.costs[key] for arm in result.arms if key in arm.costs}
    return {name: 1 + sum(other < value for other in values.values()) for name, value in values.items()}
