"""A comparison: arms, statistics and what has to be said about the runs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import nan

import pandas as pd

from litconv.compare.arms import Arm
from litconv.compare.commands import commands, missing_seeds
from litconv.compare.curves import Curve, arm_curves
from litconv.compare.deployed.scores import metric_at
from litconv.compare.inference.broken import Broken
from litconv.compare.inference.outlook import seeds_to_settle
from litconv.compare.inference.statistics import Comparison, Rule, compare_all, n_min
from litconv.compare.metric import BUDGETS, LATENCIES, TABLED, Metric, costs_among
from litconv.compare.pareto import front
from litconv.compare.tuning.families import Tuning
from litconv.compare.usable import Problem
from litconv.cost.deployed_keys import Place, deployed_metric, place_of

AFFORDABLE = 20  # seeds up to which a command that adds them is proposed


@dataclass(frozen=True)
class Result:
    name: str
    metric: Metric
    runs: pd.DataFrame  # those compared
    arms: list[Arm]  # the best first
    references: dict[str, Arm]  # name of an arm → what it is held against
    comparisons: dict[str, Comparison]  # name of an arm → how it did
    problems: list[Problem]
    rule: Rule
    plan_stands: bool = True  # not: no plan of seeds stands with the runs
    broken: list[Broken] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tuning: Tuning | None = None  # how each arm's best value was found

    @cached_property
    def cost_keys(self) -> list[str]:
        return costs_among(dict.fromkeys(key for arm in self.arms for key in arm.costs))

    @cached_property
    def budget_keys(self) -> list[str]:
        """The costs that arms are judged by; of the latencies the more trustworthy that all arms have."""
        latency = next((key for key in LATENCIES if all(key in arm.costs for arm in self.arms)), None)
        return [key for key in self.cost_keys if key in (*BUDGETS, latency)]

    @cached_property
    def table_keys(self) -> list[str]:
        return [key for key in self.cost_keys if key in TABLED]

    @cached_property
    def fronts(self) -> dict[str, set[str]]:
        """Key of a cost → the names of the arms on its front; none where neither more nor less of the metric is better."""
        if not self.metric.directed:
            return {key: set() for key in self.cost_keys}
        scores = {
            key: [self.metric.sign(arm.mean_of(self.scored_by(key).key)) for arm in self.arms] for key in self.cost_keys
        }
        on = {key: front([arm.costs.get(key, nan) for arm in self.arms], scores[key]) for key in self.cost_keys}
        return {key: {arm.name for arm, ok in zip(self.arms, flags, strict=True) if ok} for key, flags in on.items()}

    def metric_at(self, place: Place | None) -> Metric | None:
        """By which arms are judged where they run; None: not at all."""
        return metric_at(self.metric, self.deployed_metrics, place)

    @cached_property
    def deployed_metrics(self) -> list[str]:
        """The keys of those that some arm has."""
        keys = [str(key) for key in self.runs.columns if deployed_metric(str(key))]
        return [key for key in keys if any(arm.has(key) for arm in self.arms)]

    def scored_by(self, key: str) -> Metric:
        """What stands over this cost in a plot: of a network in int8 its own accuracy."""
        return self.metric_at(place_of(key)) or self.metric

    @cached_property
    def curves(self) -> dict[str, dict[str, Curve]]:
        """Metric → name of an arm → its learning curve."""
        return arm_curves(self.arms)

    @property
    def validation(self) -> Metric:
        """The metric as it was followed during training."""
        return validation_of(self.metric)

    @cached_property
    def widths_vary(self) -> bool:
        return len({arm.width for arm in self.arms}) > 1

    @cached_property
    def baselines(self) -> list[Arm]:
        """The arms that others are held against."""
        return list({arm.name: arm for arm in self.references.values()}.values())

    @cached_property
    def seeds(self) -> list[int]:
        return sorted({seed for arm in self.arms for seed in arm.scores})

    @property
    def seeds_needed(self) -> int:
        return n_min(max(1, len(self.comparisons)), self.rule)

    @cached_property
    def by_other_test(self) -> dict[str, Comparison]:
        """As `comparisons`, by the test that was not chosen."""
        return compared(self.arms, self.references, self.metric, self.rule.other)

    @cached_property
    def without_broken(self) -> dict[str, Comparison]:
        """As `comparisons`, without the seeds that broke; empty if none did."""
        if not self.broken:
            return {}
        left_out = {(one.arm, one.seed) for one in self.broken}
        return compared(self.arms, self.references, self.metric, self.rule, left_out)

    @cached_property
    def commands(self) -> list[str]:
        return self.that_train(self.arms, self.seeds)

    def that_train(self, arms: Sequence[Arm], seeds: Sequence[int]) -> list[str]:
        """Commands."""
        return commands(arms, seeds) if self.tuning is None else self.tuning.commands(arms, seeds)

    @cached_property
    def missing(self) -> tuple[list[int], list[str]]:
        """The planned seeds that are not there, or else those that would likely settle what cannot be told yet; and the
        commands that train them."""
        if not self.comparisons:
            return [], []
        wanted = max(self.rule.planned, self.seeds_needed)
        open_ones = [n for n, c in self.comparisons.items() if c.word == "cannot tell yet"]
        if all(c.n >= wanted for c in self.comparisons.values()):
            needed = [seeds_to_settle(self.comparisons[name]) for name in open_ones]
            wanted = max((n for n in needed if n is not None and n <= AFFORDABLE), default=0)
            held = [arm for arm in self.arms if arm.name in open_ones]
        else:
            held = [arm for arm in self.arms if arm.name in self.comparisons]
        against = list({self.references[arm.name].name: self.references[arm.name] for arm in held}.values())
        short = [arm for arm in self.arms if arm in held or arm in against]
        seeds = missing_seeds(short, wanted, self.tuning.seeds if self.tuning else ())
        return (seeds, self.that_train(short, seeds)) if seeds else ([], [])

    def ratio(self, arm: Arm, key: str) -> float:
        """Of a cost, to the reference's; of latency by the ratios to standard, where they were measured."""
        reference = self.references.get(arm.name)
        to_standard = f"{key.removesuffix('_ms')}_ratio"
        if reference is not None and to_standard in arm.costs and to_standard in reference.costs:
            key = to_standard
        if reference is None or key not in arm.costs or key not in reference.costs:
            return nan
        return arm.costs[key] / reference.costs[key]


def validation_of(metric: Metric) -> Metric:
    return Metric(metric.key.replace("test/", "val/", 1))


def compared(
    arms: Sequence[Arm],
    against: dict[str, Arm],
    metric: Metric,
    rule: Rule,
    left_out: Collection[tuple[str, int]] = (),
) -> dict[str, Comparison]:
    """Name of an arm → how it did against its reference, without the runs `left_out` (arm, seed)."""

    def scores(arm: Arm) -> dict[int, float]:
        return {s: metric.sign(score) for s, score in arm.scores.items() if (arm.name, s) not in left_out}

    held = [arm for arm in arms if arm.name in against]
    found = compare_all([(scores(arm), scores(against[arm.name])) for arm in held], rule)
    return {arm.name: one for arm, one in zip(held, found, strict=True)}
