"""The comparison in words: who wins, by how much, at what cost, and what cannot be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from statistics import median

from litconv.compare.arms import Arm
from litconv.compare.price import LISTED, budgets, cost, disagreements, fronts
from litconv.compare.result import Result
from litconv.compare.statistics import Comparison, power, seeds_for_power


@dataclass(frozen=True)
class Verdict:
    headline: str
    sentences: list[str]
    missing: list[str]  # commands that train the seeds without which nothing can be claimed

    def text(self) -> str:
        return "\n".join([self.headline, *(f"- {s}" for s in self.sentences), *(f"  {c}" for c in self.missing)])


def verdict(result: Result) -> Verdict:
    seeds, missing = result.missing
    claims = [*leaders(result), *gaps(result), *budgets(result), *fronts(result), *disagreements(result)]
    sentences = [*claims, *sensitivity(result)]
    if missing:
        sentences.append(f"{_seeds(seeds)} still to be run:")
    return Verdict(headline(result), sentences, missing)


def headline(result: Result) -> str:
    best, many = result.arms[0], len(result.arms)
    if many == 1:
        return f"Only one arm, nothing to compare: {best.name} reaches {score(result, best)} of {result.metric.label}."
    if not result.comparisons:
        return f"{best.name} has the best mean of {many} arms, but no arm has a reference: give one with reference=…."
    if cannot := cannot_tell(result):
        return cannot
    if winner := leading(result):
        return sentence(result, winner, f" of {result.metric.label}")
    claimed = [c for c in result.comparisons.values() if c.claimed]
    against = " or ".join(arm.name for arm in result.baselines)
    if not claimed:
        return f"No difference to {against} is shown for any arm."
    if len(claimed) == len(result.comparisons):
        return f"{against} wins: every other arm loses to it by more than chance."
    return f"No arm beats {against}; {len(claimed)} of {_arms(len(result.comparisons))} lose to it by more than chance."


def leading(result: Result) -> Arm | None:
    """The best arm of those that beat their reference."""
    better = {name for name, c in result.comparisons.items() if c.claimed and c.mean > 0}
    return next((arm for arm in result.arms if arm.name in better), None)


def cannot_tell(result: Result) -> str | None:
    """If there are too few seeds for any claim."""
    if not result.comparisons or any(c.claimed or c.n >= c.seeds_needed for c in result.comparisons.values()):
        return None
    counts = sorted({c.n for c in result.comparisons.values()})
    had = f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else _count(counts[0], "seed")
    return (
        f"Cannot tell with {had}: {result.seeds_needed} are needed for {_count(len(result.comparisons), 'comparison')}."
    )


def leaders(result: Result) -> list[str]:
    """What the means say, where nothing can be claimed of them."""
    if not result.comparisons or cannot_tell(result) is None:
        return []
    best = result.arms[0]
    text = f"So far {best.name} has the highest mean {result.metric.label}, {score(result, best)}"
    if not result.metric.higher_is_better:
        text = text.replace("highest", "lowest")
    if (c := result.comparisons.get(best.name)) is not None and c.n > 0:
        text += f", {_amount(result, c.mean)} from {result.references[best.name].name}{cost(result, best)}"
    return [f"{text}. With so few seeds that may be chance, so it is not claimed."]


def gaps(result: Result) -> list[str]:
    """Each arm against its reference, and what a claim means here."""
    if not result.comparisons or cannot_tell(result):
        return []
    arms = [arm for arm in result.arms if arm.name in result.comparisons]
    arms = [arm for arm in arms if arm is not leading(result)]
    claimed = [arm for arm in arms if result.comparisons[arm.name].claimed]
    shown = arms if len(arms) <= LISTED else claimed[:LISTED]
    rest = [] if len(shown) == len(arms) else [f"The other {_arms(len(arms) - len(shown))} stand in the table."]
    m = len(result.comparisons)
    over = f", Holm-adjusted over {m} comparisons" if m > 1 else ""
    claim = f"What is claimed has p ≤ 0.05 by an exact sign-flip test of runs paired by seed{over}; in brackets 95 % intervals."
    return [sentence(result, arm) for arm in shown] + rest + [claim]


def sentence(result: Result, arm: Arm, of: str = "") -> str:
    c, reference = result.comparisons[arm.name], result.references[arm.name].name
    if c.n == 0:
        return f"{arm.name} has no seed in common with {reference}."
    if c.claimed:
        how = f"beats {reference} by" if c.mean > 0 else f"loses to {reference} by"
        return f"{arm.name} {how} {_amount(result, c.mean, False)}{of} ({interval(result, c)}){cost(result, arm)}."
    if c.n < c.seeds_needed:
        few = f" with {_count(c.n, 'seed')}; {c.seeds_needed} are needed"
        return f"{arm.name}: cannot tell it from {reference}{few}{cost(result, arm)}."
    return (
        f"{arm.name}: cannot tell it from {reference} ({interval(result, c)}; p = {c.p_holm:.2g}){cost(result, arm)}."
    )


def interval(result: Result, c: Comparison) -> str:
    """Of a claimed gap the sizes, since the words say which way it goes."""
    if isnan(c.low):
        return "no interval from one seed"
    low, high = (c.low, c.high) if c.mean > 0 or not c.claimed else (-c.high, -c.low)
    signed = not c.claimed or low < 0
    return f"{result.metric.gap(low, signed)} to {result.metric.gap(high, signed)}"


def sensitivity(result: Result) -> list[str]:
    """What a true gap of one point would have come to, at the noise that was seen."""
    noisy = [c for c in result.comparisons.values() if not isnan(c.sd) and c.sd > 0]
    if not noisy or not result.metric.fraction:
        return []
    sd, n, m = median(c.sd for c in noisy), min(c.n for c in noisy), len(result.comparisons)
    needed = seeds_for_power(0.01, sd, m)
    chance = f"{_count(n, 'seed')} with a probability of {100 * power(0.01, sd, n, m):.0f} %"
    more = f"{needed} seeds would find it in 80 %" if needed else "more than 200 seeds are needed to find it in 80 %"
    noise = f"at the noise seen (SD of the differences {result.metric.gap(sd, False)} points)"
    return [f"A true gap of 1 point would be found by {chance}, {noise}; {more} of cases."]


def score(result: Result, arm: Arm) -> str:
    value = result.metric.value(arm.mean)
    return f"{value} ± {result.metric.value(arm.std)} ({arm.n} seeds)" if arm.n > 1 else f"{value} (1 seed)"


def _amount(result: Result, gap: float, signed: bool = True) -> str:
    return f"{result.metric.gap(gap, signed)}{_unit(result)}"


def _unit(result: Result) -> str:
    return f" {result.metric.unit}" if result.metric.unit else ""


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _arms(n: int) -> str:
    return _count(n, "arm")


def _seeds(seeds: Sequence[int]) -> str:
    return f"Seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
