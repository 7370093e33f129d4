"""A comparison: from the table of runs to arms, statistics and what has to be said about the runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import nan

import pandas as pd

from litconv.compare.arms import Arm, group, with_arm_hash
from litconv.compare.commands import commands, missing_seeds
from litconv.compare.curves import Curve, arm_curves
from litconv.compare.metric import BUDGETS, COSTS, LATENCIES, TABLED, Metric, choose
from litconv.compare.pareto import front
from litconv.compare.references import references
from litconv.compare.settings import check_alike, refuse_unlike
from litconv.compare.statistics import Comparison, compare_all, n_min
from litconv.compare.usable import Problem, counted, latest, unfinished, usable
from litconv.compare.where import pick, proposal
from litconv.errors import ConfigError


@dataclass(frozen=True)
class Result:
    name: str
    metric: Metric
    runs: pd.DataFrame  # those compared
    arms: list[Arm]  # the best first
    references: dict[str, Arm]  # name of an arm → what it is held against
    comparisons: dict[str, Comparison]  # name of an arm → how it did
    problems: list[Problem]
    notes: list[str] = field(default_factory=list)

    @cached_property
    def cost_keys(self) -> list[str]:
        return [key for key in COSTS if any(key in arm.costs for arm in self.arms)]

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
        """Key of a cost → the names of the arms on its front."""
        scores = [self.metric.sign(arm.mean) for arm in self.arms]
        on = {key: front([arm.costs.get(key, nan) for arm in self.arms], scores) for key in self.cost_keys}
        return {key: {arm.name for arm, ok in zip(self.arms, flags, strict=True) if ok} for key, flags in on.items()}

    @cached_property
    def curves(self) -> dict[str, dict[str, Curve]]:
        """Metric → name of an arm → its learning curve."""
        return arm_curves(self.arms)

    @property
    def validation(self) -> Metric:
        """The metric as it was followed during training."""
        return Metric(self.metric.key.replace("test/", "val/", 1))

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
        return n_min(max(1, len(self.comparisons)))

    @cached_property
    def commands(self) -> list[str]:
        return commands(self.arms, self.seeds)

    @cached_property
    def missing(self) -> tuple[list[int], list[str]]:
        """The seeds without which nothing can be claimed, and the commands that train them."""
        if not self.comparisons:
            return [], []
        short = [arm for arm in self.arms if arm.name in self.comparisons or arm in self.baselines]
        seeds = missing_seeds(short, self.seeds_needed)
        if all(c.n >= self.seeds_needed for c in self.comparisons.values()) or not seeds:
            return [], []
        return seeds, commands(short, seeds)

    def ratio(self, arm: Arm, key: str) -> float:
        """Of a cost, to the reference's; of latency by the ratios to standard, where they were measured."""
        reference = self.references.get(arm.name)
        if key == "cost/latency_ms" and reference is not None:
            key = next((k for k in LATENCIES if k in arm.costs and k in reference.costs), key)
        if reference is None or key not in arm.costs or key not in reference.costs:
            return nan
        return arm.costs[key] / reference.costs[key]


def analyse(
    runs: pd.DataFrame,
    name: str,
    *,
    reference: str | None = None,
    metric: str | None = None,
    mix: bool = False,
    where: Sequence[str] = (),
) -> Result:
    """`where`: conditions such as `epochs=2`, of the runs that are compared."""
    if runs.empty:
        raise ConfigError(f"{name}: no runs there; a run is a folder with config.yaml and summary.json")
    runs, picked = pick(runs, where)
    completed = runs[runs["status"] == "completed"]
    if completed.empty:
        problems = unfinished(runs)
        first = problems[0]
        raise ConfigError(
            f"{name}: none of {len(runs)} runs is completed ({counted(problems)}); the first, {first.run}: {first.what}"
        )
    chosen = choose(completed, metric)
    kept, problems = usable(runs, chosen)
    if kept.empty:
        raise ConfigError(
            f"{name}: no completed run has a usable {chosen.key}; {problems[-1].run}: {problems[-1].what}"
        )
    kept, asked = with_arm_hash(kept)
    kept, repeated = latest(kept, ["arm_hash", "seed"])

    unlike = check_alike((asked[h], own) for h, own in kept.groupby("arm_hash", sort=False))
    if not mix:
        refuse_unlike(unlike, proposal(kept, asked, where) if unlike else "")
    arms = group(kept, asked, chosen)
    against = references(arms, reference)
    held = [arm for arm in arms if arm.name in against]
    results = compare_all([(_signed(arm, chosen), _signed(against[arm.name], chosen)) for arm in held])
    comparisons = {arm.name: one for arm, one in zip(held, results, strict=True)}
    notes = picked + [f"unlike runs are mixed, because mix=true: {clause}" for clause in unlike]
    notes += remarks(kept, arms, against, repeated)
    return Result(name, chosen, kept, arms, against, comparisons, problems, notes)


def _signed(arm: Arm, metric: Metric) -> dict[int, float]:
    return {seed: metric.sign(score) for seed, score in arm.scores.items()}


def remarks(runs: pd.DataFrame, arms: Sequence[Arm], against: dict[str, Arm], repeated: int) -> list[str]:
    """What a reader must know who compares these runs."""
    notes = []
    if repeated:
        notes.append(f"{repeated} runs repeat another's configuration and seed; of each the one written last is used")
    seeds = {seed for arm in arms for seed in arm.scores}
    for arm in arms:
        if lacking := sorted(seeds - set(arm.scores)):
            listed = ", ".join(map(str, lacking))
            notes.append(f"{arm.name} has no run of seed {listed}; differences are over the seeds in common")
        if "match/note" in arm.runs and isinstance(noted := arm.runs["match/note"].iloc[0], str):
            notes.append(f"{arm.name}: {noted}")
    left_over = [a.name for a in arms if a.name not in against and a not in against.values()]
    if left_over and len(arms) > 1:
        notes.append(
            f"nothing to hold {', '.join(left_over)} against: no reference is like it in all but what is compared"
        )
    for key, what in {
        "git_commit": "commits of the code",
        "versions/torch": "versions of torch",
        "cost/latency_batch": "batch sizes of the latency",
        "memory_format": "memory formats, which alter speed, and figures by rounding",
        "compile/mode": "modes of torch.compile, which alter train/seconds, and figures by rounding",
        "cost/device": "devices, whose latencies do not compare; their ratios to standard do",
    }.items():
        written = runs[key].fillna("off") if key == "compile/mode" and key in runs else runs.get(key, pd.Series())
        values = written.dropna().astype(str).value_counts()
        if len(values) > 1:
            shown = 12 if key == "git_commit" else 60
            listed = ", ".join(f"{v[:shown]} ({n} runs)" for v, n in values.items())
            notes.append(f"the runs are of {len(values)} {what}: {listed}")
    if "git_dirty" in runs and (dirty := int((runs["git_dirty"] == True).sum())):  # noqa: E712 (an object column)
        notes.append(f"{dirty} of {len(runs)} runs were made with uncommitted changes of the code")
    return notes
