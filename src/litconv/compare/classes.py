"""Figures by class: IoU of segmentation, F1, recall and precision of classification; and the confusion of classes."""

import csv
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np

from litconv.compare.result import Result

KINDS = {"iou": "IoU", "f1": "F1", "recall": "recall", "precision": "precision"}  # key in summary.json → as it is read


@dataclass(frozen=True)
class ByClass:
    """One figure of each class, mean over the seeds."""

    kind: str  # of KINDS
    classes: list[str]
    means: dict[str, list[float]]  # name of an arm → of each class; NaN where it has none

    @property
    def label(self) -> str:
        return KINDS[self.kind]

    @property
    def long(self) -> bool:
        """Whether a class needs a row of its own: so many do not stand side by side."""
        return len(self.classes) > 20


def by_class(result: Result) -> list[ByClass]:
    """Those that the runs have, on the split of the comparison."""
    split = result.metric.key.partition("/")[0]
    found = []
    for kind in KINDS:
        start = f"{split}/{kind}/"
        if keys := [str(key) for key in result.runs.columns if str(key).startswith(start)]:
            means = {arm.name: arm.means(keys) for arm in result.arms}
            found.append(ByClass(kind, [key.removeprefix(start) for key in keys], means))
    return found


@dataclass(frozen=True)
class Confusion:
    """How often a class was taken for another, summed over the seeds. Rows are the truth, columns what was predicted."""

    classes: list[str]
    counts: dict[str, list[list[int]]]  # name of an arm → its matrix


def confusion(result: Result) -> tuple[Confusion | None, list[str]]:
    """None where no run has a confusion.csv; and what could not be read, or is of other classes than the others."""
    notes, classes, counts = [], None, {}
    for arm in result.arms:
        total = None
        for folder in map(Path, arm.runs["folder"]):
            if not (folder / "confusion.csv").exists():
                continue
            read = read_confusion(folder / "confusion.csv")
            classes = read[0] if read and classes is None else classes
            if read is None or read[0] != classes:
                what = "no table of counts" if read is None else "of other classes than the first"
                notes.append(f"{folder.name}: confusion.csv is {what}; it is left out")
                continue
            total = read[1] if total is None else total + read[1]
        if total is not None:
            counts[arm.name] = total.tolist()
    return (Confusion(classes, counts) if counts else None), notes


def read_confusion(path: Path) -> tuple[list[str], np.ndarray] | None:
    """The classes and the counts, (truth, predicted); None if it is no such table."""
    try:
        with path.open(newline="", errors="replace") as file:
            (_, *classes), *rows = [row for row in csv.reader(file) if row]
        read = np.array([row[1:] for row in rows], dtype=float)
    except (OSError, ValueError, csv.Error):
        return None
    if not np.isfinite(read).all():
        return None
    counts = read.astype(int)
    same = [row[0] for row in rows] == classes and counts.shape == (len(classes), len(classes))
    return (classes, counts) if same and (counts >= 0).all() else None


def by_spread(figures: ByClass) -> list[int]:
    """The places of the classes, that first in which the arms differ most."""

    def spread(place: int) -> float:
        values = [means[place] for means in figures.means.values() if not isnan(means[place])]
        return max(values) - min(values) if values else 0.0

    return sorted(range(len(figures.classes)), key=spread, reverse=True)
