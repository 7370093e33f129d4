"""Runs' folders as train.py leaves them, made in a moment: for tests of the comparison."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from litconv.run.planned import write_plan

# operator → (params, MACs, activations, latency, score)
OPERATORS = {
    "standard": (78_042, 12_501_632, 86_026, 1.9, 0.956),
    "deformable": (106_662, 20_800_000, 141_322, 21.0, 0.981),
    "dilated": (78_042, 12_501_632, 86_026, 2.2, 0.950),
    "separable": (61_146, 10_140_000, 131_000, 2.4, 0.906),
    "grouped": (41_178, 6_603_392, 86_026, 2.6, 0.935),
    "bottleneck": (15_098, 2_510_000, 90_000, 1.5, 0.879),
    "depthwise_separable": (14_090, 2_476_672, 137_226, 1.7, 0.877),
    "pointwise": (12_506, 2_020_000, 86_026, 0.9, 0.700),
    "depthwise": (6_330, 1_220_000, 86_026, 1.2, 0.617),
}
CLASSES = (
    "background",
    "disc",
    "ring",
    "horseshoe",
    "crescent",
    "square",
    "hourglass",
    "bars",
    "plus",
    "triangle",
    "star",
)


def make_run(
    root: Path,
    conv: str = "standard",
    seed: int = 0,
    score: float = 0.9,
    *,
    sweep: str = "made",
    task: str = "classification",
    epochs: int = 5,
    config: dict[str, Any] | None = None,
    summary: dict[str, Any] | None = None,
    **choices: str,
) -> Path:
    """One completed run below root/sweeps/SWEEP. `config`: dotted keys that differ, `summary`: keys of summary.json;
    `choices`: of groups."""
    params, macs, activations, latency, _ = OPERATORS.get(conv, OPERATORS["standard"])
    chosen = {"task": task, "conv": conv, "backbone": "resnet", "data": "shapes", "logger": "csv"}
    chosen |= {"head": "linear" if task == "classification" else "unet", "upsample": "bilinear"} | choices
    settings = {
        "width": 1.0,
        "data": {"image_size": 32, "n_train": 2000, "batch_size": 32},
        "backbone": {"depth": 8},
        "conv": {"kernel_size": 3} | ({"groups": 2} if conv == "grouped" else {}),
        "optim": {"lr": 0.005},
        "trainer": {"max_epochs": epochs, "precision": "32-true"},
        "choices": chosen,
    }
    for key, value in (config or {}).items():
        node, _, leaf = key.rpartition(".")
        (settings.setdefault(node, {}) if node else settings)[leaf] = value
    arm = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    folder = root / "sweeps" / sweep / f"shapes_resnet8_{conv}_{arm[:5]}_seed{seed}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": seed, **settings}, sort_keys=False))
    metric = "accuracy" if task == "classification" else "miou"
    found = {
        **{"status": "completed", "name": folder.name, "sweep": sweep, "config_hash": f"{arm}{seed}", "arm_hash": arm},
        **{"git_commit": "19e311f6f68ff75d", "git_dirty": False, "versions": {"torch": "2.15.0"}, "seed": seed},
        **{k: chosen[k] for k in ("task", "data", "conv", "backbone", "head")},
        **{"width": settings["width"], "precision": "32-true", "memory_format": "channels_last"},
        "overrides": [f"conv={conv}", f"seed={seed}", *(f"{k}={v}" for k, v in {**(config or {}), **choices}.items())],
        **{"cost/params": params, "cost/macs": macs, "cost/activations": activations, "cost/latency_ms": latency},
        **{"train/epochs": epochs, "train/seconds": 20.0, f"val/{metric}": score, f"test/{metric}": score},
        "test/split": "test",
    }
    if task == "segmentation":
        found |= {f"test/iou/{c}": max(0.0, score - 0.03 * i) for i, c in enumerate(CLASSES)}
    (folder / "summary.json").write_text(json.dumps(found | (summary or {})))
    write_curves(folder, metric, epochs, score)
    return folder


def write_curves(folder: Path, metric: str, epochs: int, score: float) -> None:
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", "lr", "train/loss", "val/loss", f"val/{metric}"])
        for epoch in range(epochs):
            done = 1 - np.exp(-3 * (epoch + 1) / epochs)
            writer.writerow(
                [epoch, 60 * (epoch + 1), 0.005, 2.3 * (1 - 0.9 * done), 2.4 * (1 - 0.8 * done), score * done]
            )


def make_sweep(
    root: Path, seeds: int, operators: tuple[str, ...] = tuple(OPERATORS), noise: float = 0.006, **more: Any
) -> Path:
    """Every operator with every seed, as they were planned; a seed's luck is in part common to all arms."""
    random = np.random.default_rng(1)
    luck = random.normal(0, noise, seeds)
    for conv in operators:
        for seed in range(seeds):
            score = OPERATORS[conv][4] + luck[seed] + random.normal(0, noise)
            make_run(root, conv, seed, min(1.0, float(score)), **more)
    folder = root / "sweeps" / more.get("sweep", "made")
    write_plan(folder, seeds)
    return folder
