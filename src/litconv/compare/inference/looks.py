"""What a p-value is worth to somebody who may look again: alpha spending over all numbers of seeds.

A comparison may be looked at before its planned seeds are there, and after more were added. Let p_n be the two-sided p of
Student's paired test of the first n seeds, N the number planned. Levels a_3, a_4, … are such that for equal arms

    P(p_k ≤ a_k for some k ≤ n) = γ · s(n),      s(n) = 0.8 (n/N)⁴ up to N,      1 − 0.2 (N/n)^1.5 beyond

so that the probability of a false claim, over a look at every n from 3 on for ever, is γ (Lan & DeMets 1983,
https://doi.org/10.1093/biomet/70.3.659; the power family of Kim & DeMets 1987). Since a look at every n is paid for, which looks
were taken need not be known. `over_all_looks` turns p_n into the γ at which it would just be claimed: a p-value that holds over
all looks, and that Holm's method takes like any other.

The law of (p_3, p_4, …) under equal arms is exact. The differences' direction W_n = Σd / √Σd² is a Markov chain: with
ψ = arctan(d_{n+1} / √Σd²), independent of W_n and of Student's law with n degrees of freedom in √n · tan ψ,

    W_{n+1} = √(1 + W_n²) · sin(ψ + arctan W_n)

It is followed on a grid of p.
"""

from functools import cache

import numpy as np
from scipy import stats
from scipy.special import stdtr

from litconv.compare.question import FEWEST_SEEDS as FEWEST

AT_THE_PLAN = 0.8  # of all that is spent, what is spent until the planned seeds are there
BEFORE, AFTER = 4.0, 1.5  # powers of n/N: the higher, the nearer to the plan most is spent
MOST = 40  # seeds; beyond them the level stays
EDGES = np.concatenate([np.linspace(1, 0.1, 31), np.geomspace(0.1, 1e-9, 130)[1:], [0.0]])  # of the bins of p, falling
LEVELS = np.geomspace(1e-5, 1, 40)  # γ at which the boundary is known; between them it is interpolated


def spent(n: int, planned: int) -> float:
    """The share of γ that is spent when n seeds have been looked at."""
    if n < FEWEST:
        return 0.0
    return AT_THE_PLAN * (n / planned) ** BEFORE if n <= planned else 1 - (1 - AT_THE_PLAN) * (planned / n) ** AFTER


def over_all_looks(p: float, n: int, planned: int) -> float:
    """The p-value that holds however often one looks; `p` is of n seeds, of which `planned` were planned."""
    if n < FEWEST:
        return 1.0
    levels, _ = boundary(min(n, MOST), max(planned, FEWEST))
    if p <= levels[0]:
        return float(LEVELS[0] * p / levels[0])
    return float(np.exp(np.interp(np.log(p), np.log(levels), np.log(LEVELS), right=0.0)))


def level(gamma: float, n: int, planned: int) -> float:
    """The p below which n seeds claim, where false claims over all looks may have probability gamma; 0: n is too few."""
    if n < FEWEST:
        return 0.0
    levels, _ = boundary(min(n, MOST), max(planned, FEWEST))
    return float(np.exp(np.interp(np.log(gamma), np.log(LEVELS), np.log(levels))))


@cache
def boundary(n: int, planned: int) -> tuple[np.ndarray, np.ndarray]:
    """The level a_n for each γ; and (LEVELS, bins) of p_n what has not been claimed by then."""
    uniform = np.tile(-np.diff(EDGES), (len(LEVELS), 1))
    going_on = uniform if n == FEWEST else boundary(n - 1, planned)[1] @ transition(n - 1)
    return stop(going_on, LEVELS * (spent(n, planned) - spent(n - 1, planned)))


def stop(mass: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The p below which `wanted` (LEVELS,) of the mass (LEVELS, bins) lies, and the mass without it."""
    mass = mass.copy()
    levels = np.empty(len(wanted))
    below = np.cumsum(mass[:, ::-1], axis=1)[:, ::-1]  # from each bin to p = 0
    for i, share in enumerate(wanted):
        last = np.count_nonzero(below[i] > share) - 1  # the bin in which the level lies
        if last < 0:  # all that goes on stops
            levels[i], mass[i] = 1.0, 0.0
            continue
        beyond = below[i, last + 1] if last + 1 < mass.shape[1] else 0.0
        part = (share - beyond) / mass[i, last]
        levels[i] = EDGES[last + 1] + part * (EDGES[last] - EDGES[last + 1])
        mass[i, last] *= 1 - part
        mass[i, last + 1 :] = 0
    return levels, mass


@cache
def transition(n: int) -> np.ndarray:
    """(bins of p_n, bins of p_{n+1}): the probabilities, exact for the middles of the bins of p_n and its quarters."""
    high, low = EDGES[:-1], EDGES[1:]
    found = np.zeros((len(high), len(high)))
    for share in (1 / 6, 1 / 2, 5 / 6):
        found += exceeding(n, direction(low + share * (high - low), n), direction(EDGES, n + 1)) / 3
    return found


def direction(p: np.ndarray, n: int) -> np.ndarray:
    """|W_n| at which Student's two-sided p of n seeds is this."""
    t = stats.t.isf(np.asarray(p) / 2, n - 1)
    with np.errstate(invalid="ignore"):
        share = np.where(np.isinf(t), 1.0, t**2 / (n - 1 + t**2))
    return np.sqrt(n * share)


def exceeding(n: int, w: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(w, bins): the probability of each bin of |W_{n+1}| between neighbouring edges, given W_n."""
    delta, radius = np.arctan(w)[:, None], np.sqrt(1 + w**2)[:, None]
    ratio = edges[None, :] / radius
    angle = np.arcsin(np.minimum(ratio, 1.0))

    def up_to(psi: np.ndarray) -> np.ndarray:
        """P(ψ ≤ psi)"""
        found = (psi > 0).astype(float)  # of what lies beyond a right angle, where all the time would go
        inside = (np.abs(psi) < np.pi / 2 - 1e-12) & (ratio < 1)
        found[inside] = stdtr(n, np.sqrt(n) * np.tan(psi[inside]))
        return found

    above = up_to(np.pi - angle - delta) - up_to(angle - delta) + up_to(-angle - delta)
    above = np.where(ratio >= 1, 0.0, above)  # P(|W_{n+1}| ≥ edge)
    return -np.diff(above, axis=1)
