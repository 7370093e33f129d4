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
from litconv.compare.collect import curves
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
        for seed, score in arm.scores.items():
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


def diverged(arm: Arm) -> list[bool]:
    if "train/diverged" not in arm.runs:
        return [False] * len(arm.runs)
    return [value is True for value in arm.runs["train/diverged"]]


def spread(values: np.ndarray) -> float:
    """The median absolute deviation, in the size of a standard deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def is_far(score: float, others: np.ndarray, typical: float, metric: Metric) -> bool:
    away = abs(score - float(np.median(others)))
    least = LEAST if metric.fraction else 0.0 if typical > 0 else np.inf
    return away > max(FAR * typical, FAR_OF_OWN * spread(others), least)


def curve(folder: str, key: str) -> list[tuple[int, float]]:
    return curves(folder, [key]).get(key, [])
