"""Arms in an order, such as by their groups: what is in between is better than both ends, so that the figure rises and falls."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from litconv.claims.finding import Finding, all_of, any_of
from litconv.claims.judged import Pair, answers, axis, in_words, scores, with_margin
from litconv.compare.inference.statistics import Rule
from litconv.compare.metric import Metric


@dataclass(frozen=True)
class Peak:
    says: str
    grounds: Mapping[str, str]
    arms: Mapping[str, str]  # label → overrides, in their order
    metric: str
    margin: float = 1.0

    def judge(self, runs: Mapping[str, pd.DataFrame], rule: Rule, ground: str) -> Finding:
        metric = Metric(self.metric)
        rule = with_margin(rule, self.margin, metric)
        first, *between, last = self.arms
        values = {name: scores(runs[name], self.metric) for name in self.arms}
        pairs = [Pair(f"{m} − {end}", values[m], values[end]) for m in between for end in (first, last)]
        words, lines = answers(pairs, rule, "higher", metric)
        peaks = [all_of(words[2 * i : 2 * i + 2]) for i in range(len(between))]
        word = any_of(peaks)
        at = [name for name, one in zip(between, peaks, strict=True) if one == "supported"]
        rises = any_of(words[::2])
        if at:
            because = f"{' and '.join(at)} is better than {first} and than {last}"
        elif word == "refuted" and rises == "refuted":
            because = f"nothing is better than {first}: it does not rise"
        elif word == "refuted":
            because = f"nothing is better than {first} and {last} alike"
        else:
            because = f"no arm is known to be better than {first} and {last} alike"
        return Finding(self.says, ground, word, because, lines, axis(metric), rule=in_words(rule, len(pairs), metric))
