"""What the page says and draws of a tuning."""

from dataclasses import asdict
from typing import Any

from litconv.compare.result import Result
from litconv.compare.tuning import view


def section(result: Result) -> dict[str, Any]:
    """Of its template; empty where nothing was tuned."""
    if (tuning := result.tuning) is None:
        return {}
    return {
        "title": view.title(tuning),
        "how": tuning.how(result.arms),
        "edges": tuning.at_edge(result.arms),
        "is_curve": view.is_curve(tuning),
        "rows": view.rows(tuning, result.arms),
    }


def drawing(result: Result) -> dict[str, Any]:
    """Of its script; empty where there is no curve."""
    if (tuning := result.tuning) is None or not view.is_curve(tuning):
        return {}
    curves = {arm.name: asdict(view.curve(tuning, arm)) for arm in result.arms}
    return {"key": tuning.keys[0], "label": tuning.metric.label, "log": view.is_log(tuning), "curves": curves}
