"""Learning curves: metrics.csv of an arm's runs, as mean and spread over the seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from litconv.compare.arms import Arm
from litconv.compare.collect import curves

SHOWN = ("val/accuracy", "val/miou", "val/loss", "train/loss", "train/accuracy", "val/top5", "val/pixel_accuracy", "lr")


@dataclass(frozen=True)
class Curve:
    """Of one arm and one metric; the three lists are as long as `epochs`."""

    epochs: list[int]
    mean: list[float]
    low: list[float]  # the lowest and the highest of the seeds
    high: list[float]


def arm_curves(arms: Sequence[Arm]) -> dict[str, dict[str, Curve]]:
    """Metric → arm's name → its curve."""
    by_metric: dict[str, dict[str, Curve]] = {}
    for arm in arms:
        values: dict[str, dict[int, list[float]]] = {}
        for folder in arm.runs["folder"]:
            for key, points in curves(folder, SHOWN).items():
                for epoch, value in points:
                    values.setdefault(key, {}).setdefault(epoch, []).append(value)
        for key, by_epoch in values.items():
            epochs = sorted(by_epoch)
            by_metric.setdefault(key, {})[arm.name] = Curve(
                epochs,
                [float(np.mean(by_epoch[e])) for e in epochs],
                [min(by_epoch[e]) for e in epochs],
                [max(by_epoch[e]) for e in epochs],
            )
    return {key: by_metric[key] for key in SHOWN if key in by_metric}
