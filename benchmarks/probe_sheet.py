"""The pictures of docs/probes.md: a row for each kind of probe, three images of each of its first classes, then masks.

    python benchmarks/probe_sheet.py [docs/probes.png]

Geometry: the first three are of training, the second three of test. The last two pairs are an image and its mask.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from litconv.data.probe import Probe
from litconv.data.probe.kinds import KINDS

ZOOM, GAP, SHOWN = 3, 6, 3  # of a pixel; pixels between images; images of a class
DEFAULT = Path(__file__).parents[1] / "docs" / "probes.png"
OF_CLASSES = np.array([[40, 40, 40], [230, 140, 30], [60, 140, 220], [120, 180, 80]], np.uint8)


def made(kind: str, task: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, H, W, 3) and their targets."""
    probe = Probe(kind=kind, task=task, n_train=60, n_val=1, n_test=60)
    pictures = probe.load()[split]
    return pictures.images.permute(0, 2, 3, 1).numpy(), pictures.targets.numpy()


def row(kind: str) -> list[np.ndarray]:
    (train, labels), (test, _) = made(kind, "classification", "train"), made(kind, "classification", "test")
    first, second = np.flatnonzero(labels == 0)[:SHOWN], np.flatnonzero(labels == 1)[:SHOWN]
    shown = [*train[:SHOWN], *test[:SHOWN]] if kind == "geometry" else [*train[first], *train[second]]
    if KINDS[kind].mask_classes:
        images, masks = made(kind, "segmentation", "train")
        shown += [part for n in range(2) for part in (images[n], OF_CLASSES[masks[n]])]
    return shown


def sheet() -> Image.Image:
    rows = [row(kind) for kind in KINDS]
    side = rows[0][0].shape[0] * ZOOM + GAP
    paper = Image.new("RGB", (max(map(len, rows)) * side + GAP, len(rows) * side + GAP), "white")
    for down, pictures in enumerate(rows):
        for right, picture in enumerate(pictures):
            large = Image.fromarray(picture).resize((side - GAP, side - GAP), Image.Resampling.NEAREST)
            paper.paste(large, (GAP + right * side, GAP + down * side))
    return paper


if __name__ == "__main__":
    sheet().save(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT, optimize=True)
