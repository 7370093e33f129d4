"""What more seeds would bring: the probability of a claim by n seeds, and how many seeds would likely settle an arm.

Student's test is taken for both tests: mean ~ N(gap, sd²/n), n − 1 variance ~ sd² χ².
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import stats

from litconv.compare.inference import looks
from litconv.compare.inference.statistics import ALPHA, Comparison, Rule, n_min

DRAWS = 2000
LIKELY = 0.8


@cache
def _draws(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal means times √n, and standard deviations, of n values."""
    random = np.random.default_rng(n)
    return random.standard_normal(DRAWS), np.sqrt(random.chisquare(n - 1, DRAWS) / (n - 1))


def power(gap: float, sd: float, n: int, comparisons: int, rule: Rule) -> float:
    """The probability that n seeds claim a true gap where the differences have this sd, were it the smallest p of m."""
    return _shares(gap, sd, n, comparisons, rule)[0]


def settled(gap: float, sd: float, n: int, comparisons: int, rule: Rule) -> float:
    """The probability that n seeds end in any verdict but `cannot tell yet`."""
    return sum(_shares(gap, sd, n, comparisons, rule))


def _shares(gap: float, sd: float, n: int, comparisons: int, rule: Rule) -> tuple[float, float]:
    """(claimed in the gap's direction or the other, as good)"""
    level = looks.level(ALPHA / comparisons, n, rule.planned)
    if n < n_min(comparisons, rule) or level <= 0:
        return 0.0, 0.0
    luck, spread = _draws(n)
    means = gap + sd * luck / np.sqrt(n)
    halves = stats.t.isf(level / 2, n - 1) * sd * spread / np.sqrt(n)
    claimed = np.abs(means) > halves
    as_good = ~claimed & (means - halves > -rule.margin) if rule.margin is not None else np.zeros(DRAWS, dtype=bool)
    return float(claimed.mean()), float(as_good.mean())


@cache
def seeds_for_power(gap: float, sd: float, comparisons: int, rule: Rule) -> int | None:
    """How many seeds find that gap with a probability of 80 %; None: more than are looked at."""
    return _first(lambda n: power(gap, sd, n, comparisons, rule), n_min(comparisons, rule))


@cache
def seeds_to_settle(c: Comparison) -> int | None:
    """How many seeds would end in a verdict with a probability of 80 %, were the gap and the noise those seen so far."""
    if not c.sd > 0:
        return None
    return _first(lambda n: settled(c.mean, c.sd, n, c.comparisons, c.rule), c.n + 1)


def _first(chance: Callable[[int], float], least: int) -> int | None:
    """The least n with a chance of 80 %: in steps of a tenth, then one by one."""
    n = least
    while n <= looks.MOST and chance(n) < LIKELY:
        n += max(1, n // 10)
    if n > looks.MOST:
        return None
    while n > least and chance(n - 1) >= LIKELY:
        n -= 1
    return n
