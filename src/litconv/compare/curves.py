"""Learning curves: metrics.csv of an arm's runs, as mean and spread over the seeds."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from litconv.compare.arms import Arm
from litconv.compare.collect import number

SHOWN = ("val/accuracy", "val/miou", "val/loss", "train/loss", "train/accuracy", "val/top5", "val/pixel_accuracy", "lr")

Points = tuple[np.ndarray, np.ndarray]  # epochs, values


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
        of_runs: dict[str, list[Points]] = {}
        for folder in arm.runs["folder"]:
            for key, points in points_of(folder, SHOWN).items():
                of_runs.setdefault(key, []).append(points)
        for key, points in of_runs.items():
            by_metric.setdefault(key, {})[arm.name] = over_runs(points)
    return {key: by_metric[key] for key in SHOWN if key in by_metric}


def over_runs(points: Sequence[Points]) -> Curve:
    epochs = points[0][0]
    if all(np.array_equal(own, epochs) for own, _ in points) and (np.diff(epochs) > 0).all():
        values = list(np.stack([own for _, own in points], axis=1))  # (epochs, runs)
    else:  # runs that ended at other epochs, or one that says an epoch twice
        together = [np.concatenate(part) for part in zip(*points, strict=True)]
        epochs = np.unique(together[0])
        values = [together[1][together[0] == epoch] for epoch in epochs]
    mean, low, high = ([float(of(own)) for own in values] for of in (np.mean, np.min, np.max))
    return Curve(epochs.tolist(), mean, low, high)


def curves(folder: str | Path, keys: Sequence[str]) -> dict[str, list[tuple[int, float]]]:
    """metrics.csv as metric → [(epoch, value)]."""
    return {
        key: list(zip(epochs.tolist(), values.tolist(), strict=True))
        for key, (epochs, values) in points_of(folder, keys).items()
    }


def points_of(folder: str | Path, keys: Sequence[str]) -> dict[str, Points]:
    """What is no number is left out, and a metric without one; a file that is no table is empty."""
    try:
        with (Path(folder) / "metrics.csv").open(newline="", errors="replace") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, csv.Error):
        return {}
    if not rows:
        return {}
    header, *rows = rows
    places = {key: place for place, key in enumerate(header)}
    columns = {key: numbers(rows, places[key]) for key in ("epoch", *keys) if key in places}
    found = {}
    for key in columns.keys() & {*keys} if "epoch" in columns else ():
        there = np.isfinite(columns["epoch"]) & np.isfinite(columns[key])
        if there.any():
            found[key] = columns["epoch"][there].astype(int), columns[key][there]
    return {key: found[key] for key in keys if key in found}


def numbers(rows: Sequence[Sequence[str]], place: int) -> np.ndarray:
    """Of a column; NaN for what is none."""
    try:
        return np.array([row[place] for row in rows], dtype=float)
    except (IndexError, ValueError):
        read = [number(row[place]) if place < len(row) else None for row in rows]
        return np.array([np.nan if value is None else value for value in read])
