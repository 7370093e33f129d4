"""What was measured, as one table: a row for each arm and place, the metric's mean over the seeds."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from litconv.cost.deployed_keys import Place
from litconv.deploy.record import read
from litconv.deploy.runs import Run, arms_of
from litconv.prepare.table import text

FIGURES = {
    "latency_ms": "latency ms",
    "latency_ratio": "÷ standard",
    "latency_single_ms": "at batch 1, ms",
    "latency_single_ratio": "÷ standard's",
    "file_mb": "file MB",
    "peak_memory_mb": "memory MB",
}


def table(runs: Sequence[Run], places: Sequence[Place]) -> str:
    """All of them measured in all of these places."""
    return text([row_of(seeds, place) for place in places for seeds in arms_of(runs).values()])


def row_of(seeds: Sequence[Run], place: Place) -> dict[str, Any]:
    figures = [read(run.folder)["figures"] for run in seeds]
    first = seeds[0].summary
    name = str(first.get("monitor", "")).rpartition("/")[2]
    score = {name: fmean(one[place.key(name)] for one in figures)} if place.key(name) in figures[0] else {}
    trained = [run.summary[f"test/{name}"] for run in seeds if isinstance(run.summary.get(f"test/{name}"), float)]
    beside = {f"{name} trained": fmean(trained)} if trained else {}
    costs = {title: figures[0][place.key(key)] for key, title in FIGURES.items() if place.key(key) in figures[0]}
    arm = first.get("arm") or first.get("conv") or seeds[0].name
    return {"where": place.label, "arm": arm, "runs": len(figures), **beside, **score, **costs}
