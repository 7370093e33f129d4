"""What is compared: a key of summary.json, whether more of it is better, and how it is written."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan
from typing import Literal

import pandas as pd

from litconv.cost.deployed_keys import DEPLOYED_FIGURES, deployed_cost, deployed_metric, place_of
from litconv.cost.keys import COST_KEYS, CostKey
from litconv.diagnostics.keys import DIAGNOSTIC_KEYS, DiagnosticKey
from litconv.errors import ConfigError, did_you_mean

BY_TASK = {"classification": "test/accuracy", "segmentation": "test/miou"}
FRACTIONS = ("accuracy", "top5", "miou", "macro_f1", "ece")
OF_A_CLASS = ("iou", "f1", "precision", "recall")  # fractions too: test/f1/<class>
COMPARED = sorted(
    (cost for cost in COST_KEYS if cost.compared != "no"), key=lambda cost: cost.key != "cost/macs"
)  # MACs first
BUDGETS = tuple(cost.key for cost in COMPARED if cost.budget)  # what arms are judged by, and their latency
# On a shared machine a latency alone is noise; its ratio to a standard model, measured in turns, is not.
LATENCIES = ("cost/latency_ratio", "cost/latency_ms")
TABLED = tuple(cost.key for cost in COMPARED if cost.compared == "table")
KNOWN = {one.key: one for one in (*COST_KEYS, *DIAGNOSTIC_KEYS)}
NAMES = {
    "accuracy": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "miou": "mIoU",
    "pixel_accuracy": "pixel accuracy",
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "ece": "ECE",
}
SPLITS = ("test", "val")
NO_RESULTS = ("seed", "modified")  # numbers of a run that none of its results is
DIRECTIONLESS = {"better": "higher", "worse": "lower"}  # what a verdict says where neither more nor less is better


@dataclass(frozen=True)
class Metric:
    key: str

    @property
    def fraction(self) -> bool:
        return self.key.endswith(FRACTIONS) or self.of_a_class

    @property
    def of_a_class(self) -> bool:
        return self.key.partition("/")[2].partition("/")[0] in OF_A_CLASS

    @property
    def better(self) -> Literal["higher", "lower", "neither"]:
        if self.known is not None:
            return self.known.better
        if self.key.endswith(("loss", "/ece")) and not self.of_a_class:
            return "lower"
        learned = self.fraction or self.key.partition("/")[0] in SPLITS or deployed_metric(self.key) is not None
        return "higher" if learned or self.key.endswith("images_per_second") else "neither"

    @property
    def directed(self) -> bool:
        return self.better != "neither"

    @property
    def label(self) -> str:
        if self.known is not None:
            return self.known.heading
        if (name := deployed_metric(self.key)) is not None:
            return f"{place_of(self.key).label} {NAMES.get(name, name)}"
        split, _, name = self.key.partition("/")
        return f"{split} {NAMES.get(name, name.replace('/', ' '))}".strip()

    @property
    def heading(self) -> str:
        return f"{self.label} ({self.unit})" if self.measured and self.unit else self.label

    def sign(self, value: float) -> float:
        """So that more is better; where neither is, more is more."""
        return -value if self.better == "lower" else value

    def word(self, verdict: str) -> str:
        """What a reader is told: an arm is better, or merely higher."""
        return verdict if self.directed else DIRECTIONLESS.get(verdict, verdict)

    def value(self, value: float) -> str:
        if isnan(value):
            return "–"
        if self.measured:
            return short(value)
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:.4g}"

    def gap(self, value: float, signed: bool = True) -> str:
        """A difference: in points (hundredths) where the metric is a fraction."""
        if isnan(value):
            return "–"
        scaled = 100 * value if self.fraction else value
        text = f"{abs(scaled):.2f}" if self.fraction else short(abs(scaled)) if self.measured else f"{abs(scaled):.3g}"
        return (f"{'−' if scaled < 0 else '+'}{text}") if signed else text

    def size(self, value: float) -> str:
        """A size that was asked for, in the unit of `gap`."""
        return f"{100 * value:g}" if self.fraction else f"{value:g}"

    @property
    def measured(self) -> bool:
        """A cost, or a diagnostic in pixels: three digits of any size."""
        return self.known is not None and (isinstance(self.known, CostKey) or bool(self.unit))

    @property
    def unit(self) -> str:
        if self.known is not None:
            return self.known.unit.replace("×", "")
        return "points" if self.fraction else ""

    @property
    def known(self) -> CostKey | DiagnosticKey | None:
        """Its row in the tables of costs and diagnostics."""
        return KNOWN.get(self.key) or deployed_cost(self.key)


def cost_of(key: str) -> CostKey:
    return KNOWN.get(key) or deployed_cost(key)


def cost_heading(key: str) -> str:
    cost = cost_of(key)
    return f"{cost.heading} ({cost.unit})" if cost.unit and cost.unit != "×" else cost.heading


def costs_among(keys: Iterable[str]) -> list[str]:
    """Those that are compared: MACs first, then in the order of their table; what the deployed networks cost comes last."""
    there = [*map(str, keys)]
    deployed = [key for key in there if (cost := deployed_cost(key)) and cost.compared != "no"]
    figures = [figure.key for figure in DEPLOYED_FIGURES]
    places = list(dict.fromkeys(map(place_of, deployed)))
    in_order = sorted(deployed, key=lambda key: (places.index(place_of(key)), figures.index(key.rpartition("/")[2])))
    return [*(cost.key for cost in COMPARED if cost.key in there), *in_order]


def choose(runs: pd.DataFrame, asked: str | None) -> Metric:
    """The metric that was asked for, any number of the summaries; or the test metric of the task."""
    present = [str(c) for c in runs.columns if str(c).startswith(("test/", "val/")) and c != "test/split"]
    if asked is not None:
        others = [key for key in map(str, runs.columns) if key not in (*present, *NO_RESULTS) and is_number(runs[key])]
        if asked not in present + others:
            near = did_you_mean(asked, present + others)
            there = ", ".join([*summed_up(present), *by_group(others)]) or "none"
            raise ConfigError(f"metric={asked} is no number of any summary.json here{near}; there: {there}")
        return Metric(asked)
    tasks = sorted({str(t) for t in runs["task"].dropna()}) if "task" in runs else []
    candidates = [BY_TASK[t] for t in tasks if t in BY_TASK] or [k for k in BY_TASK.values() if k in present]
    if len(set(candidates)) > 1:
        raise ConfigError(
            f"the runs are of several tasks ({', '.join(tasks)}): choose one with where=task={tasks[0]}, or give metric=… "
            "and mix=true"
        )
    if not candidates or candidates[0] not in present:
        expected = candidates[0] if candidates else " or ".join(BY_TASK.values())
        raise ConfigError(
            f"no run has {expected}; give metric=…, one of {', '.join(summed_up(present)) or '(none there)'}"
        )
    return Metric(candidates[0])


def summed_up(keys: list[str]) -> list[str]:
    """For a message: those of single classes as one, test/f1/<class>."""
    shown = [f"{'/'.join(key.split('/')[:2])}/<class>" if Metric(key).of_a_class else key for key in keys]
    return list(dict.fromkeys(shown))


def by_group(keys: list[str]) -> list[str]:
    """For a message: cost/…, diagnostics/…"""
    return list(dict.fromkeys(f"{key.partition('/')[0]}/…" for key in keys if "/" in key))


def is_number(written: pd.Series) -> bool:
    """Whether some run has a number there, not one that is written as text."""
    return any(isinstance(value, int | float) and not isinstance(value, bool) and value == value for value in written)


def short(number: float) -> str:
    """12.5 M, 78.0 k: three digits."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}"
