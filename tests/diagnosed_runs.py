"""Runs' folders as they are after a diagnosis: figures in summary.json, pictures in diagnostics/."""

from pathlib import Path

import numpy as np
from PIL import Image

from made_runs import make_run

FIELDS = {"standard": 25, "grouped": 25, "deformable": "global"}
CORRELATIONS = {"standard": 0.3, "grouped": 0.5, "deformable": 0.2}
SEEDS = 5


def make_diagnosed(root: Path) -> Path:
    """Three arms that were diagnosed and one that was not; seed 0 of grouped has no pictures. Each picture is of one colour, by
    its arm and seed."""
    for arm, conv in enumerate(FIELDS):
        for seed in range(SEEDS):
            figures = {"images": 64, "dead_channels": 0.0, "correlation": CORRELATIONS[conv] + 0.01 * seed}
            figures |= {"effective_field": 18.0 + arm + seed / 10, "receptive_field": FIELDS[conv], "seconds": 1.5}
            if conv == "grouped":
                figures |= {"correlation_within": 0.6, "correlation_between": 0.4}
            folder = make_run(
                root, conv, seed, 0.9 + arm / 100, summary={f"diagnostics/{k}": v for k, v in figures.items()}
            )
            if (conv, seed) == ("grouped", 0):
                continue
            (folder / "diagnostics").mkdir()
            for kind in ("receptive_field", "first_kernels", *(["sampling_points"] if conv == "deformable" else [])):
                pixels = np.full((30, 30, 3), colour(arm, seed), np.uint8)
                Image.fromarray(pixels).save(folder / "diagnostics" / f"{kind}.png")
    for seed in range(SEEDS):
        make_run(root, "dilated", seed, 0.8)
    return root / "sweeps" / "made"


def colour(arm: int, seed: int) -> tuple[int, int, int]:
    return 100 + arm, 50 + seed, 0
