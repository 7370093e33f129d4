"""The comparison in words: who wins, by how much, at what cost, what is as good, and what cannot be told yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from statistics import median

from litconv.compare.deployed.words import sentences as deployed
from litconv.compare.headline import headline, leaders, too_few
from litconv.compare.inference.outlook import power, seeds_for_power, seeds_to_settle
from litconv.compare.phrases import (
    arms_counted,
    comparison_of,
    count,
    gap_words,
    interval,
    margin,
    sentence,
    word_of,
)
from litconv.compare.price import LISTED, budgets, disagreements, fronts
from litconv.compare.result import Result

NAMES = {"student": "the paired Student test", "exact": "the exact sign-flip test"}


@dataclass(frozen=True)
class Verdict:
    headline: str
    sentences: list[str]
    missing: list[str]  # commands that train the planned seeds that are not there, or those that would likely settle it

    def text(self) -> str:
        return "\n".join([self.headline, *(f"- {s}" for s in self.sentences), *(f"  {c}" for c in self.missing)])


def verdict(result: Result) -> Verdict:
    seeds, missing = result.missing
    claims = [
        *broken(result),
        *gaps(result),
        *budgets(result),
        *fronts(result),
        *disagreements(result),
        *deployed(result),
    ]
    sentences = [*claims, *sensitivity(result), *rule(result)]
    if missing:
        sentences.append(f"{_seeds(seeds)} {_why_missing(result, len(seeds))}:")
    return Verdict(headline(result), sentences, missing)


def broken(result: Result) -> list[str]:
    """Seeds far from their siblings, and what the verdict is without them."""
    said = []
    for one in result.broken:
        why = "diverged" if one.diverged else "is far from its siblings"
        siblings = (
            "" if isnan(one.siblings) else f", the median of its other seeds is {result.metric.value(one.siblings)}"
        )
        said.append(f"Seed {one.seed} of {one.arm} {why}: {result.metric.value(one.score)}{siblings}.")
    changed = []
    for name, c in result.without_broken.items():
        if c.seeds != result.comparisons[name].seeds:
            before = result.comparisons[name]
            with_them = f"{word_of(result, before)} ({interval(result, before)}) with"
            changed.append(f"{name} {with_them}, {word_of(result, c)} ({gap_words(result, c)}) without")
    if said:
        said.append(
            f"Counted all the same. With and without these seeds: {'; '.join(changed) or 'no verdict changes'}."
        )
    return said


def gaps(result: Result) -> list[str]:
    """Each arm against its reference, those of the headline left out."""
    if not result.comparisons or too_few(result):
        return []
    arms = [arm for arm in result.arms if arm.name in result.comparisons]
    arms = [arm for arm in arms if arm not in leaders(result)]
    settled = [arm for arm in arms if comparison_of(result, arm).word != "cannot tell yet"]
    shown = arms if len(arms) <= LISTED else settled[:LISTED]
    rest = [] if len(shown) == len(arms) else [f"The other {arms_counted(len(arms) - len(shown))} stand in the table."]
    return [sentence(result, arm) for arm in shown] + rest


def rule(result: Result) -> list[str]:
    """What a claim means here."""
    if not result.comparisons:
        return []
    test, m, planned = result.rule.test, len(result.comparisons), result.rule.planned
    over = f", Holm-adjusted over {m} arms in either direction" if m > 1 else ""
    counts = {c.n for c in result.comparisons.values()}
    if not result.plan_stands:
        plan = f"no plan stands with these runs, and {planned} seeds are taken as planned"
    else:
        plan = f"{count(planned, 'seed')} planned"
    state = (
        "an early look" if max(counts) < planned else "seeds were added to the plan" if min(counts) > planned else ""
    )
    looks = f"the level holds for looks at any number of seeds ({plan}{f'; {state}' if state else ''})"
    asked = result.rule.margin
    good = (
        f"; as good: the interval lies above −{margin(result)}"
        if asked is not None
        else "; as good is not asked (margin=null)"
        if result.metric.directed
        else "; neither higher nor lower is taken to be better"
    )
    said = [
        f"Claims have p ≤ 0.05 by {NAMES[test]} of runs paired by seed{over}; {looks}; in brackets simultaneous 95 % intervals"
        f"{good}."
    ]
    unlike = [name for name, c in result.by_other_test.items() if c.word != result.comparisons[name].word]
    if unlike and not too_few(result):
        listed = ", ".join(f"{name}: {word_of(result, result.by_other_test[name])}" for name in unlike[:LISTED])
        more = f" and {len(unlike) - LISTED} more" if len(unlike) > LISTED else ""
        said.append(f"The verdicts of {NAMES[result.rule.other.test]}, which was not chosen, differ: {listed}{more}.")
    return said


def sensitivity(result: Result) -> list[str]:
    """What a true gap of one point would have come to, at the noise that was seen."""
    noisy = [c for c in result.comparisons.values() if not isnan(c.sd) and c.sd > 0]
    if not noisy or not result.metric.fraction:
        return []
    sd, n, m = median(c.sd for c in noisy), min(c.n for c in noisy), len(result.comparisons)
    needed = seeds_for_power(0.01, sd, m, result.rule)
    chance = f"{count(n, 'seed')} with a probability of {100 * power(0.01, sd, n, m, result.rule):.0f} %"
    more = f"{needed} seeds would find it in 80 %" if needed else "more than 40 seeds are needed to find it in 80 %"
    noise = f"at the noise seen (SD of the differences {result.metric.gap(sd, False)} points)"
    return [f"A true gap of 1 point would be found by {chance}, {noise}; {more} of cases."]


def _why_missing(result: Result, more: int) -> str:
    if any(c.n < max(c.seeds_needed, result.rule.planned) for c in result.comparisons.values()):
        return "still to be run"
    still = {name: seeds_to_settle(c) for name, c in result.comparisons.items() if c.word == "cannot tell yet"}
    settled = [name for name, n in still.items() if n is not None and n <= result.comparisons[name].n + more]
    others = len(still) - len(settled)
    rest = f", not the other {arms_counted(others)} of which it cannot be told" if others else ""
    return f"would likely settle {', '.join(settled[:LISTED])}{rest}"


def _seeds(seeds: Sequence[int]) -> str:
    first, last = min(seeds), max(seeds)
    if len(seeds) > 4 and last - first + 1 == len(seeds):
        return f"Seeds {first} to {last}"
    return f"Seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
