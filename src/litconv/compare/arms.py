"""Arms: the runs that differ in nothing but their seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan

import pandas as pd

from litconv.compare.inference.statistics import student_interval
from litconv.compare.labels import labels
from litconv.compare.metric import Metric, costs_among
from litconv.compare.settings import Settings, hash_of, read_config, settings


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
        return [self.column(key).mean() for key in keys]

    def column(self, key: str) -> pd.Series:
        """Of the runs, as numbers; NaN where there is none."""
        return pd.to_numeric(self.runs[key], errors="coerce")

    def has(self, key: str) -> bool:
        """Whether some run has a number there."""
        return key in self.runs and bool(self.column(key).notna().any())

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
    written = runs["arm_hash"] if "arm_hash" in runs else [None] * len(runs)
    hashes = []
    for row, arm in zip(runs.to_dict("records"), written, strict=True):
        if not isinstance(arm, str) or arm not in asked:
            config = read_config(row["folder"])
            options = settings(config, row)
            arm = arm if isinstance(arm, str) else hash_of(options)
            asked[arm] = options
        hashes.append(arm)
    runs["arm_hash"] = hashes
    return runs, asked


def group(runs: pd.DataFrame, asked: dict[str, Settings], metric: Metric) -> list[Arm]:
    """The arms, the best first."""
    hashes = list(dict.fromkeys(runs["arm_hash"]))
    found = [found_width(runs[runs["arm_hash"] == h]) for h in hashes]
    names = labels([asked[h] for h in hashes], hashes, found)
    arms = []
    for name, arm_hash in zip(names, hashes, strict=True):
        own = runs[runs["arm_hash"] == arm_hash].sort_values("seed")
        scores = {int(s): float(v) for s, v in zip(own["seed"], own[metric.key], strict=True)}
        others = [key for key in costs_among(own.columns) if key != metric.key]
        costs = {key: float(own[key].median()) for key in others if own[key].notna().any()}
        arms.append(Arm(name, arm_hash, asked[arm_hash], own, scores, costs))
    return sorted(arms, key=lambda arm: (-metric.sign(arm.mean), arm.name))
