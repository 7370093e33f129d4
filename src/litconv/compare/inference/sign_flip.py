"""The sign-flip test: its p, and the interval of what it does not reject, of many arms at once.

Both come of the sums Σ s_i d_i over the sign patterns s. The means of the subsets, of which the interval is made (Hartigan 1969,
https://doi.org/10.1080/01621459.1969.10501057), are (Σ d_i − Σ s_i d_i) / 2 over the number of signs that are negative: between
any two neighbours of them, sorted, a true centre of symmetry falls with equal probability.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby, islice
from math import inf

import numpy as np

EXACT = 16  # seeds up to which all sign patterns are gone through; beyond, SAMPLED of them
SAMPLED = 99_999
BLOCK = 4096  # patterns that are multiplied at a time: a thousand seeds of all of them would take 800 MB
TOGETHER = 64  # arms whose sums are held at a time


def sign_flip_p(differences: np.ndarray) -> np.ndarray:
    """Two-sided p of the mean being 0, over the last axis: (…, n) → (…)."""
    return p_of_sums(differences, sums(differences))


def p_of_sums(differences: np.ndarray, flipped: np.ndarray) -> np.ndarray:
    seen = np.abs(differences.sum(-1, keepdims=True))
    rounding = 1e-9 * np.abs(differences).sum(-1, keepdims=True)  # sums that are equal but for it are ties
    return (np.abs(flipped) >= seen - rounding).mean(-1)


def judged(differences: Sequence[np.ndarray], levels: Sequence[float]) -> Iterator[tuple[float, tuple[float, float]]]:
    """Of each arm its p, and what the test does not reject at its level."""
    for n, same in groupby(zip(differences, levels, strict=True), key=lambda pair: len(pair[0])):
        while part := list(islice(same, TOGETHER)):
            together = np.array([d for d, _ in part]).reshape(len(part), n)
            flipped = sums(together)
            for d, own, p, (_, level) in zip(together, flipped, p_of_sums(together, flipped), part, strict=True):
                yield float(p), bounds(subset_means(d, own), level) if n >= 2 and level > 0 else (-inf, inf)


def bounds(means: np.ndarray, level: float) -> tuple[float, float]:
    """Unbounded where so few values reject nothing."""
    out = int(np.floor(level * (len(means) + 1) / 2 + 1e-9))  # of the subsets, on either side
    if not out:
        return -inf, inf
    parted = np.partition(means, (out - 1, len(means) - out))
    return float(parted[out - 1]), float(parted[-out])


def subset_means(differences: np.ndarray, flipped: np.ndarray) -> np.ndarray:
    """Of all subsets but the empty one; of many values a random part of the subsets."""
    n, total, negative = len(differences), differences.sum(), negatives(len(differences))
    parts = [(total - flipped, negative)]
    if n <= EXACT:  # half of the patterns stand for all: the others' subsets are what these leave out
        parts.append((total + flipped, n - negative))
    return np.concatenate([twice[count > 0] / (2 * count[count > 0]) for twice, count in parts])


def sums(differences: np.ndarray) -> np.ndarray:
    """Σ s_i d_i of every pattern: (…, n) → (…, patterns)"""
    signs = sign_patterns(differences.shape[-1])
    found = np.empty((*differences.shape[:-1], len(signs)))
    for first in range(0, len(signs), BLOCK):
        found[..., first : first + BLOCK] = differences @ signs[first : first + BLOCK].T.astype(float)
    return found


@cache
def negatives(n: int) -> np.ndarray:
    """(patterns,): how many of its signs are negative."""
    return (sign_patterns(n) < 0).sum(1)


@cache
def sign_patterns(n: int) -> np.ndarray:
    """(patterns, n) of 1 and −1: half of the 2ⁿ, since a pattern and its negative give the same |Σ|; many seeds: a random
    sample of them beside the one that was seen, which keeps the test valid."""
    if n <= EXACT:
        bits = np.arange(2 ** max(n - 1, 0))[:, None] >> np.arange(n)
        return (1 - 2 * (bits & 1)).astype(np.int8)
    random, signs = np.random.default_rng(0), np.ones((1 + SAMPLED, n), dtype=np.int8)
    for first in range(1, len(signs), BLOCK):
        block = signs[first : first + BLOCK]
        block[:] = 2 * random.integers(0, 2, block.shape) - 1
    return signs
