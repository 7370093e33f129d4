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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import inf, nan
from typing import Literal

import numpy as np
from scipy.special import stdtr, stdtrit

from litconv.compare.inference import looks
from litconv.compare.question import TESTS

ALPHA = 0.05
EXACT = 16  # seeds up to which all sign patterns are gone through; beyond, SAMPLED of them
SAMPLED = 99_999
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
    p = [p_of(rule.test, d) for d in differences]
    over_looks = [looks.over_all_looks(p_one, len(d), rule.planned) for p_one, d in zip(p, differences, strict=True)]
    means = [float(d.mean()) if len(d) else nan for d in differences]
    adjusted = holm_in_either_direction(over_looks, means)
    found = []
    for common, d, mean, p_one, p_holm in zip(seeds, differences, means, p, adjusted, strict=True):
        low, high = interval(rule.test, d, looks.level(ALPHA / m, len(d), rule.planned))
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


def p_of(test: str, differences: np.ndarray) -> float:
    """Two-sided, of one look."""
    return float(sign_flip_p(differences)) if test == "exact" else student_p(differences)


def student_p(differences: np.ndarray) -> float:
    if len(differences) < 2 or not differences.any():
        return 1.0
    if np.ptp(differences) == 0:
        return 0.0
    t = differences.mean() / differences.std(ddof=1) * np.sqrt(len(differences))
    return float(2 * stdtr(len(differences) - 1, -abs(t)))


def interval(test: str, differences: np.ndarray, level: float) -> tuple[float, float]:
    """What the test does not reject at this level; unbounded where so few values reject nothing."""
    n = len(differences)
    if n < 2 or level <= 0:
        return -inf, inf
    if test == "student":
        half = -stdtrit(n - 1, level / 2) * differences.std(ddof=1) / np.sqrt(n)
        return float(differences.mean() - half), float(differences.mean() + half)
    means = subset_means(differences)
    out = int(np.floor(level * (len(means) + 1) / 2 + 1e-9))  # of the subsets, on either side
    return (float(means[out - 1]), float(means[-out])) if out else (-inf, inf)


def subset_means(differences: np.ndarray) -> np.ndarray:
    """The means of all subsets but the empty one, sorted: a true centre of symmetry falls between any two neighbours with equal
    probability (Hartigan 1969, https://doi.org/10.1080/01621459.1969.10501057). Of many values a random part of the subsets."""
    n = len(differences)
    if n > EXACT:
        taken = (sign_patterns(n)[1:] < 0).astype(float)
        taken = taken[taken.any(1)]
    else:
        taken = (np.arange(1, 2**n)[:, None] >> np.arange(n) & 1).astype(float)
    return np.sort(taken @ differences / taken.sum(1))


def student_interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of one mean."""
    if len(values) < 2:
        return nan, nan
    half = -stdtrit(len(values) - 1, ALPHA / 2) * values.std(ddof=1) / np.sqrt(len(values))
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
