"""What the page's script draws from, as JSON."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from litconv.compare.arms import Arm
from litconv.compare.classes import Confusion
from litconv.compare.collect import number
from litconv.compare.columns import Column, default
from litconv.compare.deployed.view import drawing
from litconv.compare.drawing.style import SYMBOLS, colours, marker
from litconv.compare.metric import cost_heading
from litconv.compare.result import Result
from litconv.compare.tables import word
from litconv.compare.tuning import page as tuning
from litconv.files import finite


def payload(result: Result, out: Path, confused: Confusion | None) -> dict[str, Any]:
    """What the page's script draws from."""
    metric, shown = result.metric, default(result)
    looks = Looks(colours(result.arms, result.baselines), marker(result.arms, result.baselines))
    return {
        "metric": {
            "key": metric.key,
            "label": metric.label,
            "better": metric.better,
        },
        "validation": result.validation.key,
        "costs": [axis_payload(result, key) for key in result.cost_keys],
        "arms": [arm_payload(result, arm, out, looks, shown) for arm in result.arms],
        "tuning": tuning.drawing(result),
        "deployed": drawing(result),
        "curves": {k: {name: asdict(c) for name, c in arms.items()} for k, arms in result.curves.items()},
        "confusion": asdict(confused) if confused else None,
    }


def axis_payload(result: Result, key: str) -> dict[str, str]:
    """A cost, and what the plot has over it."""
    metric = result.scored_by(key)
    return {"key": key, "label": cost_heading(key), "metric": metric.key, "metric_label": metric.label}


class Looks(NamedTuple):
    """Of the arms in all plots, by their names."""

    colours: dict[str, str]
    markers: dict[str, int]


def arm_payload(result: Result, arm: Arm, out: Path, looks: Looks, shown: Sequence[Column]) -> dict[str, Any]:
    """`shown`: columns of the table."""
    reference = arm in result.baselines
    return {
        "name": arm.name,
        "colour": looks.colours[arm.name],
        "symbol": "diamond" if reference else SYMBOLS[looks.markers[arm.name]],
        "reference": reference,
        "verdict": word(result, arm),
        "mean": arm.mean,
        "interval": list(arm.interval),
        "costs": arm.costs,
        "scores": {
            key: {"mean": arm.mean_of(key), "interval": arm.interval_of(key)} for key in result.deployed_metrics
        },
        "front": [key for key in result.cost_keys if arm.name in result.fronts[key]],
        "table": {column.heading: column.cell(arm) for column in shown},
        "config": config_text(arm),
        "runs": run_payloads(result, arm, out),
    }


def run_payloads(result: Result, arm: Arm, out: Path) -> list[dict[str, Any]]:
    costs = [key for key in result.cost_keys if key in arm.runs]
    keys = dict.fromkeys(("name", "seed", "folder", result.metric.key, *costs, *result.deployed_metrics))
    return [
        {
            "name": str(run["name"]),
            "seed": int(run["seed"]),
            "score": float(run[result.metric.key]),
            "folder": str(run["folder"]),
            "link": os.path.relpath(run["folder"], out),
            "costs": {k: float(run[k]) for k in costs if run[k] == run[k]},
            "scores": {k: number(run[k]) for k in result.deployed_metrics},
        }
        for run in arm.runs[list(keys)].to_dict("records")
    ]


def config_text(arm: Arm) -> str:
    try:
        return (Path(arm.runs["folder"].iloc[0]) / "config.yaml").read_text(errors="replace")
    except OSError:
        return "config.yaml cannot be read"


def as_json(value: Any) -> str:
    """For a <script> element: no `<`, and null where a number is none."""
    try:
        text = json.dumps(value, separators=(",", ":"), default=str, allow_nan=False)
    except ValueError:
        text = json.dumps(finite(value), separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c")
