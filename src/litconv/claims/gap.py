"""Arms against a reference: one figure is higher, lower or as good."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from litconv.claims.finding import Finding, all_of, any_of
from litconv.claims.judged import Expected, Pair, answers, axis, in_words, scores, with_margin
from litconv.compare.inference.statistics import Rule
from litconv.compare.metric import Metric


@dataclass(frozen=True)
class Gap:
    says: str
    grounds: Mapping[str, str]
    against: Mapping[
        str, str
    ]  # the reference, label → overrides; empty where `against_metric` is held against `metric`
    challengers: Mapping[str, str]  # label → overrides
    metric: str
    expect: Expected
    of: Literal["all", "any"] = "all"  # of the challengers
    margin: float = 1.0  # in points of a metric that is a fraction, else in its own unit
    against_metric: str = ""  # another figure of the same runs

    @property
    def arms(self) -> Mapping[str, str]:
        return {**self.against, **self.challengers}

    def judge(self, runs: Mapping[str, pd.DataFrame], rule: Rule, ground: str) -> Finding:
        metric = Metric(self.metric)
        rule = with_margin(rule, self.margin, metric)
        pairs = [self.pair(name, runs) for name in self.challengers]
        words, lines = answers(pairs, rule, self.expect, metric)
        word = (all_of if self.of == "all" else any_of)(words)
        because = f"{counted(words)}, of {'one' if len(words) == 1 else len(words)} that {self.expected}"
        return Finding(self.says, ground, word, because, lines, axis(metric), rule=in_words(rule, len(pairs), metric))

    @property
    def expected(self) -> str:
        return f"should be {self.expect} ({'each' if self.of == 'all' else 'at least one'})"

    def pair(self, name: str, runs: Mapping[str, pd.DataFrame]) -> Pair:
        own = scores(runs[name], self.metric)
        if self.against_metric:
            return Pair(name, own, scores(runs[name], self.against_metric))
        (reference,) = self.against
        return Pair(f"{name} − {reference}", own, scores(runs[reference], self.metric))


def counted(words: list[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(words).items())
