"""From runs to words: the comparison's statistics, read as an answer to what was expected.

higher, lower: supported if the difference is claimed in that direction; refuted if it is claimed in the other, or if its interval
lies within the margin on both sides, so that there is no difference that matters.
as good: supported if the interval lies above −margin; refuted if it lies below.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isinf
from typing import Literal

import pandas as pd

from litconv.claims.finding import Line, Word
from litconv.compare.inference.statistics import Comparison, Rule, compare_all
from litconv.compare.metric import Metric

Expected = Literal["higher", "lower", "as good"]
Scores = dict[int, float]  # seed → value


@dataclass(frozen=True)
class Pair:
    """`arm` − `reference`."""

    label: str
    arm: Scores
    reference: Scores


def scores(runs: pd.DataFrame, key: str) -> Scores:
    """Seed → the figure; a run without it is left out."""
    if key not in runs:
        return {}
    values = pd.to_numeric(runs[key], errors="coerce")
    return {int(seed): float(value) for seed, value in zip(runs["seed"], values, strict=True) if pd.notna(value)}


def compared(pairs: Sequence[Pair], rule: Rule) -> list[Comparison]:
    """As one family, so that all of its verdicts share 5 % of false ones."""
    return compare_all([(pair.arm, pair.reference) for pair in pairs], rule)


def answer(c: Comparison, expected: Expected) -> Word:
    if c.n < c.seeds_needed:
        return "cannot tell"
    if expected == "as good":
        margin = c.rule.margin or 0.0
        return "supported" if c.low > -margin else "refuted" if c.high < -margin else "cannot tell"
    wanted, other = ("better", "worse") if expected == "higher" else ("worse", "better")
    if c.word == wanted:
        return "supported"
    return "refuted" if c.word == other or c.equivalent else "cannot tell"


def line(pair: Pair, c: Comparison, word: Word, metric: Metric) -> Line:
    scale = 100 if metric.fraction else 1
    if c.n == 0:
        return Line(pair.label, "no run", "not run")
    sizes = metric.gap(c.mean)
    if not isinf(c.low):
        sizes += f" ({metric.gap(c.low)} to {metric.gap(c.high)})"
    means = " − ".join(metric.value(sum(own[s] for s in c.seeds) / c.n) for own in (pair.arm, pair.reference))
    text = f"{sizes}; {means}; {c.n} seeds"
    return Line(pair.label, text, word, scale * c.mean, scale * c.low, scale * c.high)


def answers(pairs: Sequence[Pair], rule: Rule, expected: Expected, metric: Metric) -> tuple[list[Word], list[Line]]:
    """Of each pair, as one family."""
    found = compared(pairs, rule)
    words = [answer(c, expected) if c.n else "not run" for c in found]
    return words, [line(*three, metric) for three in zip(pairs, found, words, strict=True)]


def with_margin(rule: Rule, margin: float, metric: Metric) -> Rule:
    """The margin in the metric's unit; it is given in points where that is a fraction."""
    return replace(rule, margin=margin / 100 if metric.fraction else margin)


def axis(metric: Metric) -> str:
    return f"{metric.label}, difference{f' in {metric.unit}' if metric.unit else ''}"


def in_words(rule: Rule, m: int, metric: Metric) -> str:
    unit = f" {metric.unit}" if metric.unit else ""
    family = f", Holm-adjusted over {m} comparisons" if m > 1 else ""
    return (
        f"paired Student test over {rule.planned} planned seeds{family}, simultaneous 95 % intervals, "
        f"margin {metric.size(rule.margin)}{unit}"
    )
