"""Runs' folders as they are after a deployment: deployed.json beside summary.json; and a device's table of them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from litconv.cost.deployed_keys import Place
from litconv.cost.device_csv import COLUMNS
from litconv.run.planned import write_plan
from made_runs import OPERATORS, make_run

SEEDS = 5
RUNTIMES = {"onnxruntime": 1.0, "openvino": 0.8}  # the standard arm's milliseconds of one image in float32
# operator → score, its time ÷ standard's in float32 and in int8, what int8 takes of the score
ARMS = {
    "standard": (0.95, 1.0, 1.0, 0.002),
    "grouped": (0.947, 0.7, 1.6, 0.003),
    "depthwise_separable": (0.944, 0.5, 1.1, 0.04),
    "bottleneck": (0.90, 0.6, 0.6, 0.002),
    "deformable": (0.955, 4.0, 9.0, 0.001),
}


def make_deployed(root: Path, noise: float = 0.0005, seeds: int = SEEDS) -> Path:
    """Each arm on two runtimes in two precisions, as ARMS says; scores and losses differ a little from seed to seed."""
    random = np.random.default_rng(3)
    for conv, (score, *_) in ARMS.items():
        for seed in range(seeds):
            tested = score + random.normal(0, noise)
            lost = ARMS[conv][3] + random.normal(0, noise / 2)
            folder = make_run(root, conv, seed, tested, summary={"cost/latency_single_ms": OPERATORS[conv][3]})
            figures = {key: value for place in places() for key, value in figures_at(place, conv, tested, lost).items()}
            write(folder, figures)
    sweep = root / "sweeps" / "made"
    write_plan(sweep, seeds)
    return sweep


def places() -> list[Place]:
    return [Place(runtime, precision) for runtime in RUNTIMES for precision in ("float32", "int8")]


def figures_at(place: Place, conv: str, score: float, lost: float) -> dict[str, float]:
    _, whole, int8, _ = ARMS[conv]
    ratio = int8 if place.precision == "int8" else whole
    ms = ratio * RUNTIMES[place.runtime] * (0.5 if place.precision == "int8" else 1.0)
    found = {"accuracy": score - lost * (place.precision == "int8"), "file_mb": 0.3, "peak_memory_mb": 50.0}
    for stem, times in (("latency_single", 1), ("latency", 20)):
        found |= {f"{stem}_ms": times * ms, f"{stem}_ratio": ratio}
        found |= {f"{stem}_p10_ms": 0.98 * times * ms, f"{stem}_p90_ms": 1.03 * times * ms}
    return {place.key(name): value for name, value in found.items()}


def write(folder: Path, figures: dict[str, Any]) -> None:
    about = {"threads": 1, "processor": "a CPU", "batch": 32, "versions": {"onnxruntime": "1.32.0"}}
    (folder / "deployed.json").write_text(json.dumps({**about, "figures": figures}))


def make_table(path: Path, sweep: Path, arms: tuple[str, ...] = tuple(ARMS), **changed: str) -> Path:
    """What a device measured of the first run of each arm: three times ONNX Runtime's times here."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for conv in arms:
            run = sorted(sweep.glob(f"*_{conv}_*seed0"))[0].name
            for precision in ("float32", "int8"):
                figures = figures_at(Place("onnxruntime", precision), conv, 0.9, 0.0)
                for batch, stem in ((1, "latency_single"), (32, "latency")):
                    row = {
                        "arm": conv,
                        "run": run,
                        "network": f"hash of {conv}",
                        "precision": precision,
                        "batch": batch,
                    }
                    names = ("ms", "p10_ms", "p90_ms", "ratio")
                    times = {n: figures[f"deploy/onnxruntime/{precision}/{stem}_{n}"] for n in names}
                    row |= {f"latency_{n}": t * (1 if n == "ratio" else 3) for n, t in times.items()}
                    row |= {"threads": 4, "device": "a board", "onnxruntime": "1.20", "pack": "9f3", "version": 1}
                    writer.writerow(row | changed)
    return path
