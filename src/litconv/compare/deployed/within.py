"""The cheapest arm whose accuracy is within a margin of the best, for every cost and at the accuracy of its precision.

Which arm is truly best is not known. The true gap of arm i to it is bounded from below by multiple comparisons with the best
(Hsu 1984, https://doi.org/10.1214/aos/1176346712): min over j ≠ i of the lower bound of score_i − score_j, each from runs
paired by seed and simultaneous over the arms but j. For whichever j is truly best these hold together, so that the bounds of
all arms do, with 97.5 %. Where they hold, no arm is shown to be better than that one: arms of which another is need not be
looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from litconv.compare.arms import Arm
from litconv.compare.deployed.order import equal
from litconv.compare.deployed.scales import Scale
from litconv.compare.deployed.scores import scores
from litconv.compare.inference.statistics import Rule, compare_all
from litconv.compare.metric import Metric
from litconv.compare.result import Result


@dataclass(frozen=True)
class Candidate:
    arm: Arm
    score: float  # mean over the seeds
    gap: float  # to the best mean, of the seeds in common; more is better
    at_least: float  # the true gap to the truly best arm, 97.5 %

    def within(self, margin: float) -> bool:
        return self.gap >= -margin

    def shown(self, margin: float) -> bool:
        """Beyond chance."""
        return self.at_least > -margin


@dataclass(frozen=True)
class Choice:
    """What one scale answers."""

    scale: Scale
    metric: Metric
    best: Candidate  # by its mean, whatever it costs
    cheapest: Candidate | None  # within the margin by the means
    shown: Candidate | None  # the cheapest that is within it beyond chance
    without: list[str]  # names of arms that lack the cost or the accuracy


def choices(result: Result, scales: Sequence[Scale]) -> list[Choice]:
    """Of the costs in which arms differ; none where no margin is asked for."""
    if result.rule.margin is None:
        return []
    by_metric: dict[str, list[Candidate]] = {}
    found = []
    for scale in scales:
        metric = result.metric_at(scale.place)
        if metric is None or equal(result.arms, scale):
            continue
        if metric.key not in by_metric:
            by_metric[metric.key] = candidates(result.arms, metric, result.rule)
        if any(scale.has(one.arm) for one in by_metric[metric.key]):
            found.append(choice(scale, metric, by_metric[metric.key], result))
    return found


def choice(scale: Scale, metric: Metric, scored: Sequence[Candidate], result: Result) -> Choice:
    margin = result.rule.margin
    having = [one for one in scored if scale.has(one.arm)]

    def cheapest(among: Sequence[Candidate]) -> Candidate | None:
        return min(among, key=lambda one: (scale.of(one.arm), -one.gap), default=None)

    names = {one.arm.name for one in having}
    return Choice(
        scale,
        metric,
        max(scored, key=lambda one: one.gap),
        cheapest([one for one in having if one.within(margin)]),
        cheapest([one for one in having if one.shown(margin)]),
        [arm.name for arm in result.arms if arm.name not in names],
    )


def candidates(arms: Sequence[Arm], metric: Metric, rule: Rule) -> list[Candidate]:
    """The arms that have the metric, each with what is known of its gap to the best."""
    scored = {arm.name: {s: metric.sign(v) for s, v in scores(arm, metric.key).items()} for arm in arms}
    having = [arm for arm in arms if scored[arm.name]]
    lows: dict[str, dict[str, float]] = {}  # rival → arm → lower bound of its gap to the rival
    means = {arm.name: sum(scored[arm.name].values()) / len(scored[arm.name]) for arm in having}
    best = max(having, key=lambda arm: means[arm.name])
    gaps = {best.name: 0.0}
    for rival in having:
        others = [arm for arm in having if arm is not rival]
        found = compare_all([(scored[arm.name], scored[rival.name]) for arm in others], rule)
        lows[rival.name] = {arm.name: c.low if c.n else -inf for arm, c in zip(others, found, strict=True)}
        if rival is best:
            gaps |= {arm.name: c.mean for arm, c in zip(others, found, strict=True)}
    rivals = [name for name, of_arm in lows.items() if all(low <= 0 for low in of_arm.values())]

    def bound(name: str) -> float:
        return min([0.0, *(lows[rival][name] for rival in rivals if rival != name)])

    return [Candidate(arm, metric.sign(means[arm.name]), gaps[arm.name], bound(arm.name)) for arm in having]
