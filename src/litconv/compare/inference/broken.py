"""Seeds that broke: a run far from those of its arm with other seeds. Named, never dropped in silence.

Far is: more than 10 times the usual spread from the median of its siblings (spread: 1.4826 times the median absolute deviation,
of all arms the middle one), and 5 times that of these siblings, and 5 points where the metric is a fraction; or a training that
the run itself says diverged. Where the usual spread is 0, as of dead channels that hardly any network has, nothing is far.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from litconv.compare.arms import Arm
from litconv.compare.curves import curves
from litconv.compare.metric import Metric

FAR, FAR_OF_OWN = 10.0, 5.0  # times the spread
LEAST = 0.05  # of a fraction
FEWEST = 3  # seeds of an arm


@dataclass(frozen=True)
class Broken:
    arm: str
    seed: int
    score: float
    siblings: float  # median of the arm's other seeds
    diverged: bool
    curve: list[tuple[int, float]]  # (epoch, validation metric)
    sibling_curves: list[list[tuple[int, float]]]


def broken_seeds(arms: Sequence[Arm], metric: Metric, validation: Metric) -> list[Broken]:
    usual = [spread(arm.values.to_numpy()) for arm in arms if arm.n >= FEWEST]
    typical = median(usual) if usual else np.inf
    found = []
    for arm in arms:
        said = set(arm.runs.loc[diverged(arm), "seed"])
        for seed, score in suspects(arm, said, typical, metric).items():
            others = np.array([value for other, value in arm.scores.items() if other != seed])
            far = arm.n >= FEWEST and is_far(score, others, typical, metric)
            if far or seed in said:
                middle = float(np.median(others)) if len(others) else np.nan
                drawn = {
                    int(s): curve(f, validation.key) for s, f in arm.runs[["seed", "folder"]].itertuples(index=False)
                }
                siblings = [points for other, points in drawn.items() if other != seed]
                found.append(Broken(arm.name, seed, score, middle, seed in said, drawn[seed], siblings))
    return found


def suspects(arm: Arm, said: set[int], typical: float, metric: Metric) -> dict[int, float]:
    """The seeds that may be far, by what all arms have in common: only of these the siblings need be looked at."""
    values = arm.values.to_numpy()
    away = np.abs(values - medians_of_others(values))
    return {
        seed: score
        for (seed, score), far in zip(arm.scores.items(), away > bound(typical, metric), strict=True)
        if far or seed in said
    }


def medians_of_others(values: np.ndarray) -> np.ndarray:
    """Of each value the median of all but it; NaN where it is the only one."""
    count = len(values) - 1  # of the others
    if count < 1:
        return np.full(len(values), np.nan)
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values), dtype=int)
    ranks[order] = np.arange(len(values))
    middle = [(count - 1) // 2, count // 2]
    low, high = (values[order][place + (place >= ranks)] for place in middle)
    return (low + high) / 2


def diverged(arm: Arm) -> list[bool]:
    if "train/diverged" not in arm.runs:
        return [False] * len(arm.runs)
    return [value is True for value in arm.runs["train/diverged"]]


def spread(values: np.ndarray) -> float:
    """The median absolute deviation, in the size of a standard deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def is_far(score: float, others: np.ndarray, typical: float, metric: Metric) -> bool:
    away = abs(score - float(np.median(others)))
    return away > max(bound(typical, metric), FAR_OF_OWN * spread(others))


def bound(typical: float, metric: Metric) -> float:
    """From the median of its siblings, of all arms."""
    return max(FAR * typical, LEAST if metric.fraction else 0.0 if typical > 0 else np.inf)


def curve(folder: str, key: str) -> list[tuple[int, float]]:
    return curves(folder, [key]).get(key, [])
