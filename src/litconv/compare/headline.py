"""The first line of a verdict: who wins, by how much, what is as good, or that it cannot be told yet."""

from litconv.compare.arms import Arm
from litconv.compare.phrases import (
    amount,
    arms_counted,
    comparison_of,
    count,
    interval,
    loss,
    score,
    seeds_had,
    sentence,
)
from litconv.compare.result import Result


def headline(result: Result) -> str:
    best, many = result.arms[0], len(result.arms)
    if many == 1:
        return f"Only one arm, nothing to compare: {best.name} reaches {score(result, best)} of {result.metric.label}."
    if not result.comparisons:
        return f"{best.name} has the best mean of {many} arms, but no arm has a reference: give one with reference=…."
    if few := too_few(result):
        return few
    if named := leaders(result):
        return " ".join(sentence(result, arm, f" of {result.metric.label}") for arm in named)
    words = [c.word for c in result.comparisons.values()]
    against = " or ".join(arm.name for arm in result.baselines)
    worse = [
        arm for arm in result.arms if arm.name in result.comparisons and comparison_of(result, arm).word == "worse"
    ]
    if not worse:
        widest = max(result.comparisons.values(), key=lambda c: abs(c.mean) if c.n else 0)
        name = next(name for name, c in result.comparisons.items() if c is widest)
        return (
            f"Cannot tell any arm from {against} yet, with {seeds_had(result)}; the largest gap is {name}'s, "
            f"{amount(result, widest.mean)} ({interval(result, widest)})."
        )
    least, most = worse[0], worse[-1]
    by = f"by {loss(result, least)}" + (
        f" ({least.name}) to {loss(result, most)} ({most.name})" if len(worse) > 1 else ""
    )
    if len(worse) == len(words):
        return f"{against} wins: every other arm loses to it, {by} of {result.metric.label}."
    rest = arms_counted(len(words) - len(worse))
    lose = f"{len(worse)} of {arms_counted(len(words))} lose to it, {by}"
    return f"No arm beats {against}; {lose}; of {rest} it cannot be told yet."


def leaders(result: Result) -> list[Arm]:
    """The arms that the headline names; where neither more nor less is better, those that lie farthest apart."""
    if result.metric.directed:
        found = [first(result, "better"), cheapest_as_good(result)]
    else:
        lower = [
            arm for arm in result.arms if arm.name in result.comparisons and comparison_of(result, arm).word == "worse"
        ]
        found = [first(result, "better"), *lower[-1:]]
    return [arm for arm in found if arm is not None]


def first(result: Result, word: str) -> Arm | None:
    """The best arm with this verdict."""
    return next(
        (a for a in result.arms if a.name in result.comparisons and comparison_of(result, a).word == word), None
    )


def cheapest_as_good(result: Result) -> Arm | None:
    """Of the arms that are as good as their reference the one with the fewest MACs, if they are fewer."""
    arms = [a for a in result.arms if a.name in result.comparisons and comparison_of(result, a).word == "as good"]
    return min(arms, key=lambda arm: arm.costs.get("cost/macs", float("inf")), default=None)


def too_few(result: Result) -> str | None:
    """If there are too few seeds for any claim."""
    if any(c.claimed or c.word == "as good" or c.n >= c.seeds_needed for c in result.comparisons.values()):
        return None
    best = result.arms[0]
    many = count(len(result.comparisons), "comparison")
    text = f"Cannot tell with {seeds_had(result)}: {result.seeds_needed} are needed for {many}"
    if result.rule.test == "exact":
        text += " by the exact test"
    means = "lowest" if result.metric.better == "lower" else "highest"
    return f"{text}. So far {best.name} has the {means} mean {result.metric.label}, {score(result, best)}, which may be chance."
