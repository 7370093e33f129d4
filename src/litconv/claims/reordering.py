"""The same operators in two settings: whether any two of them change places."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from litconv.claims.finding import Finding, Line, Word, any_of
from litconv.claims.judged import Pair, axis, compared, in_words, line, scores, with_margin
from litconv.compare.inference.statistics import Comparison, Rule
from litconv.compare.metric import Metric


@dataclass(frozen=True)
class Reordering:
    """A pair is reversed if each of the two is claimed to be better in one of the settings; it is not if the order is claimed to
    be the same, or if in one setting there is no difference above the margin."""

    says: str
    grounds: Mapping[str, str]
    operators: Mapping[str, str]  # label → overrides
    settings: Mapping[str, str]  # two: label → overrides
    metric: str
    margin: float = 1.0
    same: Mapping[str, str] | None = None  # operators that are the same run in both settings: label → overrides

    @property
    def arms(self) -> Mapping[str, str]:
        crossed = {
            f"{operator} {setting}": f"{own} {of_setting}"
            for setting, of_setting in self.settings.items()
            for operator, own in self.operators.items()
        }
        return {**crossed, **(self.same or {})}

    def judge(self, runs: Mapping[str, pd.DataFrame], rule: Rule, ground: str) -> Finding:
        metric = Metric(self.metric)
        rule = with_margin(rule, self.margin, metric)
        names = [*self.operators, *(self.same or {})]
        couples = list(combinations(names, 2))
        pairs = [
            Pair(f"{a} − {b}, {setting}", *(scores(runs[self.arm(one, setting)], self.metric) for one in (a, b)))
            for a, b in couples
            for setting in self.settings
        ]
        found = compared(pairs, rule)
        lines: list[Line] = []
        words = []
        for i in range(len(couples)):
            both = slice(2 * i, 2 * i + 2)
            words.append(reversed_(*found[both]))
            lines += [line(pair, c, words[-1], metric) for pair, c in zip(pairs[both], found[both], strict=True)]
        changed = [f"{a} and {b}" for (a, b), word in zip(couples, words, strict=True) if word == "supported"]
        kept = sum(word == "refuted" for word in words)
        if changed:
            because = f"{', '.join(changed)} change places"
        else:
            because = f"no pair is known to change places, {kept} of {len(couples)} are known not to"
        return Finding(
            self.says, ground, any_of(words), because, lines, axis(metric), rule=in_words(rule, len(pairs), metric)
        )

    def arm(self, operator: str, setting: str) -> str:
        return operator if operator in (self.same or {}) else f"{operator} {setting}"


def reversed_(one: Comparison, other: Comparison) -> Word:
    if not (one.n and other.n):
        return "not run"
    if min(one.n, other.n) < one.seeds_needed:
        return "cannot tell"
    words = {one.word, other.word}
    if words == {"better", "worse"}:
        return "supported"
    alike = one.equivalent or other.equivalent
    return "refuted" if alike or words in ({"better"}, {"worse"}) else "cannot tell"
