"""The columns that a table of arms may have, each by the short name that `columns=[…]` gives it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan, nan

import pandas as pd

from litconv.compare.arms import Arm
from litconv.compare.collect import number
from litconv.compare.inference.statistics import Comparison
from litconv.compare.metric import SPLITS, Metric, cost_heading, short
from litconv.compare.result import Result
from litconv.compare.tables import word
from litconv.cost.deployed_keys import place_of
from litconv.diagnostics.keys import DIAGNOSTIC_KEYS
from litconv.errors import ConfigError, did_you_mean

OTHER = {"student": "exact test", "exact": "Student"}  # the test that was not chosen, whose p is shown beside


@dataclass(frozen=True)
class Column:
    name: str  # on the command line
    heading: str
    cell: Callable[[Arm], str]
    figure: Callable[[Arm], str] | None = None  # what makes the best one: as a reader sees it, "" where there is none
    value: Callable[[Arm], float] = lambda arm: nan  # less is better
    numeric: bool = True


def columns(result: Result) -> dict[str, Column]:
    """All that these runs can fill, by name; the order is that of a table that was not told what to show."""
    metric = result.metric
    found = [
        Column("arm", "arm", lambda arm: arm.name, numeric=False),
        *tuned(result),
        Column("width", "width", lambda arm: "–" if arm.width is None else f"{arm.width:.4g}"),
        Column("seeds", "seeds", lambda arm: str(arm.n)),
        scores("score", metric, lambda arm: arm.values),
        *(against(result) if result.comparisons else []),
        *(costs(result, key) for key in result.cost_keys),
        *(scores(key.partition("/")[2], Metric(key), lambda arm, key=key: arm.column(key)) for key in further(result)),
        *(column for column in diagnosed(result) if column.name != last_part(metric.key)),
        *deployed_scores(result),
    ]
    return {one.name: one for one in found}


def default(result: Result) -> list[Column]:
    """Those of a table that was not told what to show."""
    left_out = {cost_name(key) for key in result.cost_keys if key not in result.table_keys}
    left_out |= {key.partition("/")[2] for key in further(result)} | (set() if result.widths_vary else {"width"})
    left_out |= {column.name for column in (*diagnosed(result), *deployed_scores(result))}
    return [column for name, column in columns(result).items() if name not in left_out]


def chosen(result: Result, names: Sequence[str] | None) -> list[Column]:
    """The columns of these names, in this order."""
    there = columns(result)
    for name in names or ():
        if name not in there:
            raise ConfigError(f"columns: no column {name}{did_you_mean(name, list(there))}; there: {', '.join(there)}")
    return default(result) if names is None else [there[name] for name in names]


def scores(name: str, metric: Metric, values: Callable[[Arm], pd.Series]) -> Column:
    """Mean and standard deviation over the seeds."""

    def mean(arm: Arm) -> str:
        return metric.value(float(values(arm).mean())) if values(arm).notna().any() else ""

    def cell(arm: Arm) -> str:
        several = values(arm).count() > 1
        return f"{mean(arm)} ± {metric.value(float(values(arm).std()))}" if several else mean(arm) or "–"

    best = mean if metric.directed else None
    return Column(name, metric.heading, cell, best, lambda arm: -metric.sign(float(values(arm).mean())))


def tuned(result: Result) -> list[Column]:
    """The values at which the arms stand, of the keys that were tuned."""
    keys = result.tuning.keys if result.tuning else []
    return [Column(key, key, lambda arm, i=i: result.tuning.texts(arm)[i]) for i, key in enumerate(keys)]


def against(result: Result) -> list[Column]:
    """How an arm did against its reference."""
    metric, several = result.metric, len(result.baselines) > 1
    against = "the reference" if several else result.baselines[0].name if result.baselines else "–"
    unit = f" ({metric.unit})" if metric.unit else ""

    def compared(write: Callable[[Comparison], str]) -> Callable[[Arm], str]:
        def cell(arm: Arm) -> str:
            c = result.comparisons.get(arm.name)
            return "" if c is None or c.n == 0 else write(c)

        return cell

    def by_other_test(arm: Arm) -> str:
        c = result.by_other_test.get(arm.name)
        return "" if c is None or c.n == 0 else f"{c.p_holm:.2g}"

    return [
        Column("gap", f"gap to {against}{unit}", compared(lambda c: metric.gap(c.mean))),
        Column(
            "interval",
            "95 % interval",
            compared(lambda c: f"{metric.gap(c.low)} to {metric.gap(c.high)}" if isfinite(c.low) else "–"),
        ),
        Column("p", "p (Holm)", compared(lambda c: f"{c.p_holm:.2g}")),
        Column("p_other", f"p ({OTHER[result.rule.test]})", by_other_test),
        Column("verdict", "verdict", lambda arm: word(result, arm), numeric=False),
    ]


def costs(result: Result, key: str) -> Column:
    def figure(arm: Arm) -> str:
        return short(arm.costs[key]) if key in arm.costs else ""

    def cell(arm: Arm) -> str:
        ratio = result.ratio(arm, key)
        return (figure(arm) or "–") + ("" if isnan(ratio) else f" ({ratio:.2f}×)")

    return Column(cost_name(key), cost_heading(key), cell, figure, lambda arm: arm.costs.get(key, nan))


def cost_name(key: str) -> str:
    """cost/latency_ms → latency, deploy/onnxruntime/int8/latency_ms → onnxruntime/int8/latency"""
    name = key.removeprefix("deploy/") if place_of(key) else last_part(key)
    return name.removesuffix("_ms").removesuffix("_mb")


def last_part(key: str) -> str:
    return key.rpartition("/")[2]


def diagnosed(result: Result) -> list[Column]:
    """What the runs' diagnoses found, as mean and standard deviation over the seeds."""
    there = [one.key for one in DIAGNOSTIC_KEYS if one.key in result.runs and result.runs[one.key].notna().any()]
    return [diagnostic(key) for key in there]


def diagnostic(key: str) -> Column:
    """A figure that all seeds share, such as a theoretical field, stands alone; a field may be `global`."""
    spread = scores(last_part(key), Metric(key), lambda arm: arm.column(key))

    def cell(arm: Arm) -> str:
        written = set(map(str, arm.runs[key].dropna()))
        if len(written) != 1:
            return spread.cell(arm)
        (one,) = written
        value = number(one)
        return one if value is None else Metric(key).value(value)

    return replace(spread, cell=cell)


def deployed_scores(result: Result) -> list[Column]:
    """The task's metric of the networks as they are deployed."""
    keys = [key for key in result.deployed_metrics if key != result.metric.key]
    return [scores(key.removeprefix("deploy/"), Metric(key), lambda arm, key=key: arm.column(key)) for key in keys]


def further(result: Result) -> list[str]:
    """The other test figures of the runs that are one number: test/top5, test/macro_f1."""
    split = result.metric.key.partition("/")[0]
    split = split if split in SPLITS else SPLITS[0]
    keys = [str(key) for key in result.runs.columns if str(key).count("/") == 1 and str(key).startswith(f"{split}/")]
    numeric = [key for key in keys if pd.to_numeric(result.runs[key], errors="coerce").notna().any()]
    return [key for key in numeric if key != result.metric.key]


def best(column: Column, arms: Sequence[Arm]) -> set[str]:
    """The arms that have a column's best figure; those that a reader sees to be equal share it."""
    if column.figure is None:
        return set()
    filled = [arm for arm in arms if column.figure(arm)]
    if len(filled) < 2:
        return set()
    figure = column.figure(min(filled, key=column.value))
    return {arm.name for arm in filled if column.figure(arm) == figure}
