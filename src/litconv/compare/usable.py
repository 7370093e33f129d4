"""Which runs can be compared, and what is wrong with each of the others."""

from collections import Counter
from dataclasses import dataclass
from math import nan

import pandas as pd

from litconv.compare.collect import number
from litconv.compare.deployed.reading import UNREADABLE
from litconv.compare.metric import Metric, costs_among


@dataclass(frozen=True)
class Problem:
    """A run that is not in the comparison, or a figure of it that is not."""

    run: str
    folder: str
    status: str
    what: str


def unfinished(runs: pd.DataFrame) -> list[Problem]:
    """The runs that are not completed, and why."""
    others = runs[runs["status"] != "completed"]
    return [
        _problem(row, row["error"] if isinstance(row["error"], str) else "no figures") for _, row in others.iterrows()
    ]


def usable(runs: pd.DataFrame, metric: Metric) -> tuple[pd.DataFrame, list[Problem]]:
    """The completed runs whose metric is a number, costs as numbers; and what kept the others out."""
    problems = unfinished(runs)
    runs = runs[runs["status"] == "completed"].copy()
    if UNREADABLE in runs:
        problems += [
            _problem(row, f"{row[UNREADABLE]}; left out") for _, row in runs[runs[UNREADABLE].notna()].iterrows()
        ]
    for key in [metric.key, *(key for key in costs_among(runs.columns) if key != metric.key)]:
        written = runs[key]
        runs[key] = [_figure(value, metric if key == metric.key else None) for value in written]
        lost = runs[key].isna() & (written.notna() if key != metric.key else True)
        problems += [_problem(row, _why(key, written[index])) for index, row in runs[lost].iterrows()]
    return runs[runs[metric.key].notna()], problems


def _problem(row: pd.Series, what: str) -> Problem:
    return Problem(str(row["name"]), str(row["folder"]), str(row["status"]), what)


def latest(runs: pd.DataFrame, keys: list[str]) -> tuple[pd.DataFrame, int]:
    """Of runs that are equal in these keys the one that was written last; and how many others there were."""
    kept = runs.sort_values("modified", kind="stable").drop_duplicates(keys, keep="last").sort_index()
    return kept, len(runs) - len(kept)


def _figure(value: object, metric: Metric | None) -> float:
    figure = number(value)
    if figure is None or (metric is None and figure <= 0) or (metric and metric.fraction and not 0 <= figure <= 1):
        return nan
    return figure


def _why(key: str, written: object) -> str:
    if number(written) is not None:
        return f"{key}={written} is {'not above 0' if costs_among([key]) else 'not a fraction in [0, 1]'}; left out"
    if written is None or written != written:  # a NaN is written as null
        return f"{key} is missing or NaN; left out"
    return f"{key}={written!r} is no number; left out"


def counted(problems: list[Problem]) -> str:
    """3 failed, 1 unfinished"""
    return ", ".join(f"{n} {status}" for status, n in sorted(Counter(p.status for p in problems).items()))
