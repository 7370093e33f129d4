"""Whether a gap between two arms is more than chance.

Runs are paired by seed: d_i = score(arm, seed i) − score(reference, seed i), i = 1…n.
interval  mean(d) ± t(0.975, n − 1) · sd(d) / √n, the paired Student interval
p         exact sign-flip test, two-sided: the share of the 2ⁿ sign patterns s with |Σ s_i d_i| ≥ |Σ d_i|
claim     p, Holm-adjusted over the m comparisons, is at most 0.05
n_min     1 + ⌈log₂(m / 0.05)⌉ seeds: p cannot go below 2 / 2ⁿ, so that with fewer nothing can be claimed of every arm
(https://arxiv.org/abs/2103.03098, https://www.jstor.org/stable/4615733)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, log2, nan

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

ALPHA = 0.05
EXACT = 16  # seeds up to which all sign patterns are gone through; beyond, SAMPLED of them
SAMPLED = 99_999
SIMULATED = 12  # seeds up to which power is simulated; beyond, that of Student's test is as good


@dataclass(frozen=True)
class Comparison:
    """An arm against its reference; differences are arm − reference, in the metric's own unit."""

    seeds: tuple[int, ...]  # those that both have
    comparisons: int  # m, how many share the 5 % of false alarms
    mean: float
    sd: float
    low: float
    high: float
    p: float
    p_holm: float

    @property
    def n(self) -> int:
        return len(self.seeds)

    @property
    def claimed(self) -> bool:
        return self.p_holm <= ALPHA

    @property
    def seeds_needed(self) -> int:
        return n_min(self.comparisons)


def n_min(comparisons: int) -> int:
    return 1 + ceil(log2(comparisons / ALPHA))


def compare_all(pairs: Sequence[tuple[Mapping[int, float], Mapping[int, float]]]) -> list[Comparison]:
    """One comparison for each (seed → score of the arm, seed → score of its reference)."""
    seeds = [tuple(sorted(set(arm) & set(reference))) for arm, reference in pairs]
    differences = [
        np.array([arm[s] - reference[s] for s in common]) for (arm, reference), common in zip(pairs, seeds, strict=True)
    ]
    p = [float(sign_flip_p(d)) if len(d) else 1.0 for d in differences]
    holm = multipletests(p, ALPHA, method="holm")[1] if p else []
    return [
        Comparison(common, len(pairs), *_estimate(d), p=p_one, p_holm=float(adjusted))
        for common, d, p_one, adjusted in zip(seeds, differences, p, holm, strict=True)
    ]


def _estimate(d: np.ndarray) -> tuple[float, float, float, float]:
    """mean, sd, low, high; NaN for what so few values do not give"""
    if len(d) == 0:
        return nan, nan, nan, nan
    return float(d.mean()), float(d.std(ddof=1)) if len(d) > 1 else nan, *student_interval(d)


def student_interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean."""
    if len(values) < 2:
        return nan, nan
    half = stats.t.ppf(1 - ALPHA / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def sign_flip_p(differences: np.ndarray) -> np.ndarray:
    """Two-sided p of the mean being 0, over the last axis: (…, n) → (…)."""
    flipped = np.abs(differences @ sign_patterns(differences.shape[-1]).T)  # (…, patterns)
    seen = np.abs(differences.sum(-1, keepdims=True))
    rounding = 1e-9 * np.abs(differences).sum(-1, keepdims=True)  # sums that are equal but for it are ties
    return (flipped >= seen - rounding).mean(-1)


@cache
def sign_patterns(n: int) -> np.ndarray:
    """(patterns, n): half of the 2ⁿ, since a pattern and its negative give the same |Σ|; many seeds: a random sample of
    them beside the one that was seen, which keeps the test valid."""
    if n > EXACT:
        drawn = np.random.default_rng(0).choice([-1.0, 1.0], (SAMPLED, n))
        return np.vstack([np.ones(n), drawn])
    bits = np.arange(2 ** max(n - 1, 0))[:, None] >> np.arange(n)
    return 1.0 - 2 * (bits & 1)


def power(gap: float, sd: float, n: int, comparisons: int) -> float:
    """The probability that n seeds claim a true gap where the differences have this sd, were it the smallest p of m."""
    if n < n_min(comparisons):
        return 0.0
    if sd == 0:
        return 1.0
    if n > SIMULATED:
        return float(TTestPower().power(gap / sd, n, ALPHA / comparisons))
    draws = np.random.default_rng(0).normal(gap, sd, (1000, n))
    return float((sign_flip_p(draws) <= ALPHA / comparisons).mean())


def seeds_for_power(gap: float, sd: float, comparisons: int, wanted: float = 0.8, most: int = 200) -> int | None:
    """How many seeds find that gap with this probability; None if more than `most`."""
    least = n_min(comparisons)
    if power(gap, sd, most, comparisons) < wanted:
        return None
    return next(n for n in range(least, most + 1) if power(gap, sd, n, comparisons) >= wanted)
