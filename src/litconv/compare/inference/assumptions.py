"""Where the differences of an arm do not look normal, as Student's test takes them to be: Shapiro–Wilk, Bonferroni over the arms.

With few seeds only gross departures show. Differences that are all equal are no noise at all, and said as well.
"""

from collections.abc import Mapping

import numpy as np
from scipy import stats

from litconv.compare.inference.statistics import ALPHA, Comparison

FEWEST = 3  # values that Shapiro–Wilk takes


def doubts(comparisons: Mapping[str, Comparison]) -> list[str]:
    """One sentence for each arm that gives reason to doubt."""
    found = []
    for name, c in comparisons.items():
        d = np.array(c.differences)
        if len(d) < FEWEST:
            continue
        if np.ptp(d) == 0:
            if not d.any():
                found.append(f"{name}: its scores are those of its reference in all {c.n} seeds: look at its runs")
            else:
                found.append(
                    f"{name}: its differences are equal in all {c.n} seeds, so that no noise was seen: look at its runs"
                )
        elif (p := float(stats.shapiro(d).pvalue)) * len(comparisons) < ALPHA:
            far = c.seeds[int(np.argmax(np.abs(d - np.median(d))))]
            found.append(
                f"{name}: its differences do not look normal (Shapiro–Wilk, p = {p:.2g}; farthest: seed {far}), as Student's "
                "test takes them to be; test=exact does not"
            )
    return found
