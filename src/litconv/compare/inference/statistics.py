"""Whether a gap between two arms is more than chance, and whether one is as good as the other.

Runs are paired by seed: d_i = score(arm, seed i) − score(reference, seed i), i = 1…n; m arms are compared.

p: two-sided. `student`: Student's paired test, from 3 seeds on; it assumes that d is normal. `exact`: the sign-flip test, the
share of the 2ⁿ sign patterns s with |Σ s_i d_i| ≥ |Σ d_i|; it assumes that d is symmetric. Either is turned into the p that
holds however often one looks, before and after the planned seeds are there (`looks.py`).

better, worse: that p, Holm-adjusted over the m arms in either direction at 2.5 %, is at most 0.05. In either direction, so that
the sign of a claim is covered too.

Interval of the true gap: the test inverted at Bonferroni's level, so that all m hold theirs with 95 % at every look. One that
leaves 0 out is a claim always; where only a later step of Holm's claims, it is cut at 0.

as good: not better, not worse, and the interval lies above −margin (non-inferior); below +margin too: equivalent
(two one-sided tests: Schuirmann 1987, https://doi.org/10.1007/BF01068419).

Of an arm with gap 0 only `better` and `worse` are false, of one at or below −margin only `better` and `as good`, each below the
2.5 % of its direction; so all claims of a comparison share 5 %.
(https://arxiv.org/abs/2103.03098, https://www.jstor.org/stable/4615733)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import inf, nan
from typing import Literal

import numpy as np
from scipy.special import stdtr, stdtrit

from litconv.compare.inference import looks, sign_flip
from litconv.compare.question import TESTS

ALPHA = 0.05
Word = Literal["better", "worse", "as good", "cannot tell yet"]


@dataclass(frozen=True)
class Rule:
    """How claims are made; chosen before the runs are looked at."""

    planned: int  # seeds
    test: str = "student"
    margin: float | None = None  # in the metric's own unit: a gap that does not matter; None: not asked

    @property
    def other(self) -> "Rule":
        """By the test that was not chosen."""
        (test,) = (test for test in TESTS if test != self.test)
        return replace(self, test=test)


@dataclass(frozen=True)
class Comparison:
    """An arm against its reference; differences are arm − reference, in the metric's own unit, more is better."""

    seeds: tuple[int, ...]  # those that both have
    comparisons: int  # m, how many share the 5 % of false claims
    rule: Rule
    differences: tuple[float, ...]
    mean: float
    sd: float
    low: float
    high: float
    p: float  # of one look and one arm
    p_holm: float  # over all looks and arms

    @property
    def n(self) -> int:
        return len(self.seeds)

    @property
    def claimed(self) -> bool:
        return self.p_holm <= ALPHA

    @property
    def equivalent(self) -> bool:
        return self.rule.margin is not None and -self.rule.margin < self.low and self.high < self.rule.margin

    @property
    def word(self) -> Word:
        if self.claimed:
            return "better" if self.mean > 0 else "worse"
        return "as good" if self.rule.margin is not None and self.low > -self.rule.margin else "cannot tell yet"

    @property
    def seeds_needed(self) -> int:
        return n_min(self.comparisons, self.rule)


@cache
def n_min(comparisons: int, rule: Rule) -> int:
    """The seeds with which every one of so many arms can be claimed."""
    if rule.test == "student":
        return looks.FEWEST
    each = ALPHA / comparisons
    return next(
        n for n in range(looks.FEWEST, looks.MOST) if looks.over_all_looks(2.0 ** (1 - n), n, rule.planned) <= each
    )


def compare_all(pairs: Sequence[tuple[Mapping[int, float], Mapping[int, float]]], rule: Rule) -> list[Comparison]:
    """One comparison for each (seed → score of the arm, seed → score of its reference)."""
    seeds = [tuple(sorted(set(arm) & set(reference))) for arm, reference in pairs]
    differences = [
        np.array([arm[s] - reference[s] for s in common]) for (arm, reference), common in zip(pairs, seeds, strict=True)
    ]
    m = len(pairs)
    levels = [looks.level(ALPHA / m, len(d), rule.planned) for d in differences]
    judged = list(judge(rule.test, differences, levels))
    p, intervals = [one for one, _ in judged], [bounds for _, bounds in judged]
    over_looks = [looks.over_all_looks(p_one, len(d), rule.planned) for p_one, d in zip(p, differences, strict=True)]
    means = [float(d.mean()) if len(d) else nan for d in differences]
    adjusted = holm_in_either_direction(over_looks, means)
    found = []
    for common, d, mean, p_one, p_holm, (low, high) in zip(
        seeds, differences, means, p, adjusted, intervals, strict=True
    ):
        if p_holm <= ALPHA:
            low, high = (max(low, 0.0), high) if mean > 0 else (low, min(high, 0.0))
        sd = float(d.std(ddof=1)) if len(d) > 1 else nan
        found.append(Comparison(common, m, rule, tuple(d.tolist()), mean, sd, low, high, p_one, p_holm))
    return found


def holm_in_either_direction(p: Sequence[float], means: Sequence[float]) -> list[float]:
    """Two-sided p, adjusted: those that go up and those that go down each by Holm's method over all m at half the level."""
    adjusted = np.ones(len(p))
    for way in (1, -1):
        own = np.array([way * mean > 0 for mean in means], dtype=bool)
        adjusted[own] = holm(np.where(own, p, 1.0))[own]
    return adjusted.tolist()


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p (Holm 1979). As statsmodels' `multipletests`, which collects garbage for a tenth of a second."""
    order = np.argsort(p)
    rising = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(rising, 1.0)
    return adjusted


def judge(
    test: str, differences: Sequence[np.ndarray], levels: Sequence[float]
) -> Iterator[tuple[float, tuple[float, float]]]:
    """Of each arm its p of one look, two-sided, and its interval at its level."""
    if test == "exact":
        return sign_flip.judged(differences, levels)
    return ((student_p(d), student_bounds(d, level)) for d, level in zip(differences, levels, strict=True))


def student_p(differences: np.ndarray) -> float:
    if len(differences) < 2 or not differences.any():
        return 1.0
    if np.ptp(differences) == 0:
        return 0.0
    t = differences.mean() / differences.std(ddof=1) * np.sqrt(len(differences))
    return float(2 * stdtr(len(differences) - 1, -abs(t)))


def student_bounds(differences: np.ndarray, level: float) -> tuple[float, float]:
    """What the test does not reject at this level; unbounded where so few values reject nothing."""
    n = len(differences)
    if n < 2 or level <= 0:
        return -inf, inf
    half = -stdtrit(n - 1, level / 2) * differences.std(ddof=1) / np.sqrt(n)
    return float(differences.mean() - half), float(differences.mean() + half)


def student_interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of one mean."""
    if len(values) < 2:
        return nan, nan
    half = -stdtrit(len(values) - 1, ALPHA / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)
