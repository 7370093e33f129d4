"""From runs at many values to arms at their best.

A family is the runs of one arm at all values that were tried. Every family must have the same number of trials (a value with
a seed), or the one that was looked for longer would win by that. Test figures play no part in the choice.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from litconv.compare.arms import Arm, found_width, with_arm_hash
from litconv.compare.collect import number
from litconv.compare.labels import labels
from litconv.compare.metric import Metric
from litconv.compare.settings import Settings, hash_of
from litconv.compare.tuning.checks import check_equal, check_keys
from litconv.compare.tuning.commands import again, extended, of_values
from litconv.compare.tuning.keys import Value, as_text, shown, values_of, without
from litconv.compare.tuning.record import Record, record
from litconv.compare.usable import latest
from litconv.errors import ConfigError
from litconv.sweep.choice import Edge, Trial, as_number, best, by_size, edges
from litconv.sweep.given import multirun


@dataclass(frozen=True)
class Family:
    """One arm's trials, by the size of their values, and the one that was chosen. Scores are such that more is better."""

    name: str
    trials: list[Trial]
    chosen: Trial
    edges: list[Edge]


@dataclass(frozen=True)
class Tuning:
    keys: tuple[str, ...]
    metric: Metric  # what chose
    seeds: tuple[int, ...]  # which chose
    families: dict[str, Family]  # hash of the arm at its chosen value → its trials
    extend: list[str]  # the commands that try the next values, for every arm
    lacking: list[str]  # what kept arms out of the comparison
    launches: list[
        Mapping[str, str]
    ]  # the arguments of the tuned sweeps; none of sweeps that were not launched as tuned

    def of(self, arm: Arm) -> Family:
        return self.families[arm.hash]

    def texts(self, arm: Arm) -> list[str]:
        """The chosen values."""
        return [as_text(value) for value in self.of(arm).chosen.value]

    def commands(self, arms: Sequence[Arm], seeds: Sequence[int]) -> list[str]:
        """What tests the chosen values with these seeds."""
        if self.launches:
            return [multirun({**given, "seed": ",".join(map(str, seeds))}) for given in self.launches]
        return of_values(pd.concat([arm.runs.head(1) for arm in arms]), seeds)

    def how(self, arms: Sequence[Arm]) -> str:
        seeds, count = ", ".join(map(str, self.seeds)), len(self.of(arms[0]).trials) * len(self.seeds)
        return (
            f"{' and '.join(self.keys)} chosen for each arm on {self.metric.key}, mean over seeds {seeds} ({count} trials an "
            "arm); the runs compared have other seeds"
        )

    def at_edge(self, arms: Iterable[Arm]) -> list[str]:
        """grouped's best optim.lr=0.4 is at the edge of its grid (the highest value tried)"""
        return [
            f"{arm.name}'s best {edge.key}={edge.value} is at the edge of its grid (the {edge.side} value tried)"
            for arm in arms
            for edge in self.of(arm).edges
        ]

    def notes(self, arms: Sequence[Arm]) -> list[str]:
        noted = [self.how(arms), *self.lacking]
        if at_edge := self.at_edge(arms):
            noted.append("; ".join(at_edge) + (f": {' && '.join(self.extend)} extends it" if self.extend else ""))
        for arm in arms:
            if failed := sum(trial.failed for trial in self.of(arm).trials):
                noted.append(
                    f"{failed} trial{'s' * (failed > 1)} of {arm.name} failed, which counts as worse than any score"
                )
        return noted


def tuned(
    runs: pd.DataFrame, kept: pd.DataFrame, asked: dict[str, Settings], best_of: Any
) -> tuple[pd.DataFrame, dict[str, Settings], Tuning | None]:
    """Of the runs that can be compared (`kept`, `asked`: see `with_arm_hash`) those at the chosen values with seeds that did
    not choose; `asked` without the tuned keys. `best_of`: keys, None, or "auto": as the sweep was tuned. `runs`: all."""
    known = record(runs, best_of)
    if not known.keys:
        return kept, asked, None
    tried, settings = with_arm_hash(runs[runs["status"].isin(("completed", "failed"))])
    tried, _ = latest(tried, ["arm_hash", "seed"])
    check_keys(known.keys, settings.values())
    names, arms = families(known.keys, settings, tried)
    scores, metric = scored(tried)
    seeds = {family: known.seeds or shared_seeds(own.values(), scores) for family, own in arms.items()}
    trials = {family: trials_of(own, seeds[family], scores, tried) for family, own in arms.items()}
    check_equal(known, names, trials, seeds)
    choosing = sorted({seed for shared in seeds.values() for seed in shared})
    tests = kept[~kept["seed"].isin(choosing)]
    found, lacking = {}, []
    for family, own in trials.items():
        chosen = best(own)
        if chosen is None:
            lacking.append(f"{names[family]} is not compared: every trial of it failed")
            continue
        arm = arms[family][chosen.value]
        found[arm] = Family(names[family], own, chosen, edges(known.keys, own, chosen))
        if arm not in set(tests["arm_hash"]):
            text = shown(known.keys, chosen.value)
            lacking.append(
                f"{names[family]} is not compared: no run tests {text}, chosen for it; train it{again(known)}"
            )
    tests = tests[tests["arm_hash"].isin(found)]
    if tests.empty:
        refuse_untested(known, found, tried, len(choosing))
    wider = widened(known, found.values(), sorted(int(seed) for seed in tests["seed"].unique()))
    rest = {arm: without(known.keys, options) for arm, options in asked.items()}
    launches = known.launches if known.seeds else []
    return tests, rest, Tuning(known.keys, metric, tuple(choosing), found, wider, lacking, launches)


def families(
    keys: Sequence[str], settings: Mapping[str, Settings], tried: pd.DataFrame
) -> tuple[dict[str, str], dict[str, dict[Value, str]]]:
    """By the hash of what is left without the tuned keys: what a family is called, and its arm at each value."""
    arms: dict[str, dict[Value, str]] = {}
    rest = {arm: without(keys, options) for arm, options in settings.items()}
    for arm, options in settings.items():
        if None not in (value := values_of(keys, options)):
            arms.setdefault(hash_of(rest[arm]), {})[value] = arm
    first = [next(iter(own.values())) for own in arms.values()]
    widths = [found_width(tried[tried["arm_hash"] == arm]) for arm in first]
    names = labels([rest[arm] for arm in first], list(arms), widths)
    return dict(zip(arms, names, strict=True)), arms


def trials_of(
    own: Mapping[Value, str],
    seeds: Collection[int],
    scores: Mapping[str, Mapping[int, float | None]],
    tried: pd.DataFrame,
) -> list[Trial]:
    """By the size of their values; a value that none of these seeds has is none."""
    found = []
    for value, arm in sorted(own.items(), key=lambda item: tuple(map(by_size, item[0]))):
        macs = [number(written) for written in tried.loc[tried["arm_hash"] == arm].get("cost/macs", ())]
        cost = min((count for count in macs if count is not None), default=float("inf"))
        found.append(Trial(value, {seed: s for seed, s in sorted(scores[arm].items()) if seed in seeds}, cost))
    return [trial for trial in found if trial.scores]


def scored(tried: pd.DataFrame) -> tuple[dict[str, dict[int, float | None]], Metric]:
    """Arm → seed → the watched metric on validation, so that more is better; None of a run that failed."""
    watched = tried["monitor"].dropna().unique() if "monitor" in tried else []
    before_monitors = "val/miou" if "val/miou" in tried else "val/accuracy"
    metric = Metric(str(watched[0]) if len(watched) else before_monitors)
    scores: dict[str, dict[int, float | None]] = {}
    for row in tried.to_dict("records"):
        score = number(row.get(metric.key)) if row["status"] == "completed" else None
        scores.setdefault(row["arm_hash"], {})[int(row["seed"])] = None if score is None else metric.sign(score)
    return scores, metric


def shared_seeds(arms: Iterable[str], scores: Mapping[str, Mapping[int, float | None]]) -> set[int]:
    """Those that every value of a family has."""
    return set.intersection(*(set(scores[arm]) for arm in arms))


def refuse_untested(known: Record, found: Mapping[str, Family], tried: pd.DataFrame, count: int) -> None:
    there = {int(seed) for seed in tried["seed"]}
    unused = [seed for seed in range(len(there) + count) if seed not in there][:count]
    rows = tried[tried["arm_hash"].isin(found)].drop_duplicates("arm_hash")
    how = again(known) if known.seeds else f": {' && '.join(of_values(rows, unused))}"
    chosen = "; ".join(f"{f.name} {shown(known.keys, f.chosen.value)}" for f in found.values()) or "every trial failed"
    raise ConfigError(
        f"best_of={','.join(known.keys)}: no run tests what was chosen ({chosen}) with a seed that did not choose; train "
        f"them{how}"
    )


def widened(known: Record, found: Collection[Family], tests: Sequence[int]) -> list[str]:
    tried = [trial.value for family in found for trial in family.trials]
    grid = {key: {as_number(value[i]) for value in tried} - {None} for i, key in enumerate(known.keys)}
    return extended(known, grid, [edge for family in found for edge in family.edges], tests)
