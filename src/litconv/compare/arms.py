"""Arms: the runs that differ in nothing but their seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan

import numpy as np
import pandas as pd

from litconv.compare.inference.statistics import student_interval
from litconv.compare.labels import labels
from litconv.compare.metric import Metric, costs_among
from litconv.compare.settings import CHOSEN_LAYOUT, Settings, hash_of, read_config, settings


@dataclass(frozen=True, eq=False)
class Arm:
    name: str
    hash: str
    asked: Settings
    runs: pd.DataFrame  # one row a seed, in order of the seeds
    scores: dict[int, float]  # seed → the metric
    costs: dict[str, float]  # key → median over the runs; without the metric, where that is a cost

    @property
    def conv(self) -> str:
        return str(self.asked.get("choices.conv", "?"))

    @property
    def n(self) -> int:
        return len(self.scores)

    @cached_property
    def mean(self) -> float:
        return float(self.values.mean())

    @cached_property
    def std(self) -> float:
        return self.values.std()  # n − 1; NaN for one run

    @cached_property
    def values(self) -> pd.Series:
        return pd.Series(self.scores, dtype=float)

    @cached_property
    def interval(self) -> tuple[float, float]:
        return student_interval(self.values.to_numpy())

    def means(self, keys: Sequence[str]) -> list[float]:
        """Of these columns over the seeds; NaN where a run has no number there."""
        numbers = np.array([self.column(key).to_numpy(float) for key in keys])
        there = ~np.isnan(numbers)
        with np.errstate(invalid="ignore"):
            return (np.where(there, numbers, 0).sum(1) / there.sum(1)).tolist()

    def column(self, key: str) -> pd.Series:
        """Of the runs, as numbers; NaN where there is none."""
        column = self.runs[key]
        return column if column.dtype == float else pd.to_numeric(column, errors="coerce")

    def has(self, key: str) -> bool:
        """Whether some run has a number there."""
        return key in self.runs and bool(self.column(key).notna().any())

    def median(self, key: str) -> float:
        """Of a cost, over the runs that have it; NaN where none has."""
        if key not in self.known_medians:
            values = self.column(key) if key in self.runs else pd.Series(dtype=float)
            self.known_medians[key] = float(values[values > 0].median())
        return self.known_medians[key]

    @cached_property
    def known_medians(self) -> dict[str, float]:
        """Those that were asked for: orders ask again and again."""
        return {}

    def mean_of(self, key: str) -> float:
        return float(self.column(key).mean()) if key in self.runs else nan

    def interval_of(self, key: str) -> tuple[float, float]:
        """Of the mean, 95 %."""
        return student_interval(self.column(key).dropna().to_numpy())

    @property
    def width(self) -> float | None:
        """The one that was trained, which with `match=` is not the one that was asked for."""
        found = found_width(self.runs)
        return first(self.runs, "width") if found is None else found


def found_width(runs: pd.DataFrame) -> float | None:
    """By `match=`; None where nothing was matched."""
    return first(runs, "match/width")


def first(runs: pd.DataFrame, key: str) -> float | None:
    return float(runs[key].iloc[0]) if key in runs and pd.notna(runs[key].iloc[0]) else None


def with_arm_hash(runs: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Settings]]:
    """The runs with `arm_hash` filled in, and what each arm was asked for."""
    runs, asked = runs.copy(), {}
    nothing = [None] * len(runs)
    written, chosen = runs.get("arm_hash", nothing), runs.get(CHOSEN_LAYOUT, nothing)
    hashes = []
    for place, (folder, arm, layout) in enumerate(zip(runs["folder"], written, chosen, strict=True)):
        if not isinstance(arm, str) or arm not in asked:
            config = read_config(folder)
            summary = {CHOSEN_LAYOUT: layout} if config else runs.iloc[[place]].to_dict("records")[0]
            options = settings(config, summary)
            arm = arm if isinstance(arm, str) else hash_of(options)
            asked[arm] = options
        hashes.append(arm)
    runs["arm_hash"] = hashes
    return runs, asked


def group(runs: pd.DataFrame, asked: dict[str, Settings], metric: Metric) -> list[Arm]:
    """The arms, the best first."""
    runs_of = {str(arm_hash): own for arm_hash, own in runs.groupby("arm_hash", sort=False)}
    names = labels([asked[h] for h in runs_of], list(runs_of), [found_width(own) for own in runs_of.values()])
    keys = [key for key in costs_among(runs.columns) if key != metric.key]
    medians = runs.groupby("arm_hash")[keys].median().to_dict("index")
    arms = []
    for name, (arm_hash, own) in zip(names, runs_of.items(), strict=True):
        own = own.sort_values("seed")
        scores = {int(s): float(v) for s, v in zip(own["seed"], own[metric.key], strict=True)}
        costs = {key: float(value) for key, value in medians[arm_hash].items() if value == value}
        arms.append(Arm(name, arm_hash, asked[arm_hash], own, scores, costs))
    return sorted(arms, key=lambda arm: (-metric.sign(arm.mean), arm.name))
