"""What the deployed figures say, in sentences: the cheapest good arm, orders that disagree, what int8 costs."""

from collections.abc import Sequence
from math import isinf

from litconv.compare.arms import Arm
from litconv.compare.deployed.order import Flip, compared_scales, equal, flips, spearman
from litconv.compare.deployed.quantised import Change, changes
from litconv.compare.deployed.scales import MACS, Scale, batch_label, batches, median, scales
from litconv.compare.deployed.scores import name_of
from litconv.compare.deployed.within import Candidate, Choice, choices
from litconv.compare.metric import NAMES, short
from litconv.compare.phrases import margin
from litconv.compare.result import Result

NAMED = 3  # pairs of arms in a sentence


def sentences(result: Result) -> list[str]:
    """For the verdict: one of each kind, for the first batch size alone. Empty where nothing was deployed."""
    measured = batches(result)
    if not measured:
        return []
    found, label = scales(result, measured[0]), batch_label(result, measured[0])
    return [*cheapest(result, choices(result, found), label), *reordered(result, found, label), *int8(result)]


def cheapest(result: Result, found: Sequence[Choice], batch: str) -> list[str]:
    named = [one for one in found if one.cheapest]
    if len(result.arms) < 2 or not named:
        return []
    listed = ", ".join(f"{one.scale.label}: {one.cheapest.arm.name}" for one in named)
    sure = [one for one in named if one.shown and one.shown.arm is one.cheapest.arm]
    chance = "beyond chance in all" if len(sure) == len(named) else "by the means" if not sure else None
    chance = chance or f"beyond chance for {', '.join(one.scale.label for one in sure)}, else by the means"
    return [f"The cheapest within {margin(result)} of the best ({batch}; {chance}): {listed}."]


def reordered(result: Result, found: Sequence[Scale], batch: str) -> list[str]:
    """How far the orders agree with that by MACs, and the largest change of places."""
    said = []
    rhos = correlations(result, found)
    if rhos:
        base, known = rhos[0]
        listed = ", ".join(f"{scale.label} {signed(rho)}" for scale, rho in known)
        said.append(f"Spearman's ρ of the arms' latencies ({batch}) with {base.label}: {listed}.")
    pairs = compared_scales(found)
    for of_precision in (False, True):  # what another runtime changes, what int8 does
        every = [
            flip
            for base, scale in pairs
            if bool(base.place) == of_precision
            for flip in flips(result.arms, base, scale)
        ]
        if every:
            said.append(f"{flip_words(max(every, key=lambda flip: flip.after / flip.before))}.")
    return said


def correlations(result: Result, found: Sequence[Scale]) -> list[tuple[Scale, list[tuple[Scale, float]]]]:
    """By the scales that know of no runtime: with which of the others, and how much."""
    bases = [scale for scale in found if scale.place is None]
    rows = []
    for base in bases:
        others = [(one, spearman(result.arms, base, one)) for one in found if one is not base]
        known = [(one, rho) for one, rho in others if rho is not None and one.key != MACS]
        if known:
            rows.append((base, known))
    return rows


def disagreements(result: Result, found: Sequence[Scale]) -> list[str]:
    """A sentence for each two orders that differ; one for all that do not."""
    said = {(base, scale): disagreement(result, base, scale) for base, scale in compared_scales(found)}
    alike = [f"{base.label} and {scale.label}" for (base, scale), sentence in said.items() if sentence == ""]
    rest = [f"No pair of arms changes places beyond noise: {'; '.join(alike)}."] if alike else []
    return [*filter(None, said.values()), *rest]


def disagreement(result: Result, base: Scale, scale: Scale) -> str | None:
    """Of two orders; empty where they agree, None where one of the two is none."""
    both = [arm for arm in result.arms if base.has(arm) and scale.has(arm)]
    if len(both) < 2 or equal(both, base) or equal(both, scale):
        return None
    found = flips(both, base, scale)
    pairs = len(both) * (len(both) - 1) // 2
    if not found:
        return ""
    listed = "; ".join(flip_words(flip) for flip in found[:NAMED])
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    change = "changes" if len(found) == 1 else "change"
    return f"{base.label} and {scale.label}: {len(found)} of {pairs} pairs {change} places: {listed}{more}."


def flip_words(flip: Flip) -> str:
    """`first` costs less by the base and more by the other scale."""
    first, second, scale = flip.first.name, flip.second.name, flip.scale
    if flip.base.milliseconds is None:
        before = f"{first} has {flip.before:.2f}× the {flip.base.label} of {second}"
        return f"{before}, and takes {flip.after:.2f}× its time in {scale.label}"
    before = f"{first} takes {flip.before:.2f}× the time of {second} in {flip.base.label}"
    return f"{before}, and {flip.after:.2f}× in {scale.label}"


def signed(rho: float) -> str:
    return f"{rho:.2f}".replace("-", "−")


def int8(result: Result) -> list[str]:
    """One sentence a runtime: how many arms lose accuracy, and which most."""
    by_runtime: dict[str, list[Change]] = {}
    for change in changes(result):
        by_runtime.setdefault(change.place.label, []).append(change)
    said = []
    for label, found in by_runtime.items():
        worst = min(found, key=lambda one: one.comparison.mean)
        losing = sum(one.comparison.word == "worse" for one in found)
        many = f"{losing} of {len(found)} arms lose {NAMES.get(name_of(result.metric), 'score')} beyond chance"
        kept = sum(one.comparison.low > -(result.rule.margin or 0) for one in found)
        shown = f", {kept} surely less than {margin(result)}" if result.rule.margin is not None else ""
        most = f"the largest loss is {worst.arm.name}'s, {change_words(result, worst)}"
        said.append(f"{label}: {many}{shown}; {most if worst.comparison.mean < 0 else 'by the means none loses'}.")
    return said


def change_words(result: Result, change: Change) -> str:
    c, metric = change.comparison, result.metric
    unit = f" {metric.unit}" if metric.unit else ""
    bounds = "no interval from so few seeds" if isinf(c.low) else f"{metric.gap(c.low)} to {metric.gap(c.high)}"
    return f"{metric.gap(c.mean)}{unit} ({bounds})"


def gap_words(result: Result, candidate: Candidate) -> str:
    metric = result.metric
    unit = f" {metric.unit}" if metric.unit else ""
    least = "no bound from so few seeds" if isinf(candidate.at_least) else f"at least {metric.gap(candidate.at_least)}"
    return f"{metric.gap(candidate.gap)}{unit} ({least})"


def cost_words(scale: Scale, arm: Arm) -> str:
    if scale.milliseconds is None:
        return short(scale.of(arm))
    return f"{short(median(arm, scale.milliseconds))} ms"
