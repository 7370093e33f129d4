"""The Pareto front: the arms that no other one beats in cost and score at once."""

from collections.abc import Sequence
from math import isnan


def front(costs: Sequence[float], scores: Sequence[float]) -> list[bool]:
    """True where nothing costs less or the same and scores more or the same, one of the two strictly. Scores: more is
    better. A point without one of the two (NaN) is on no front."""
    points = list(zip(costs, scores, strict=True))

    def beaten(cost: float, score: float) -> bool:
        return any(c <= cost and s >= score and (c < cost or s > score) for c, s in points)

    return [not (isnan(c) or isnan(s) or beaten(c, s)) for c, s in points]
