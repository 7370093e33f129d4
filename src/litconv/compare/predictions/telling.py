"""Which test images tell something: those on which the arms disagree most, and the worst and the best by their mean."""

from dataclasses import dataclass

import numpy as np

DISAGREE, WORST, BEST = "arms disagree", "worst", "best"


@dataclass(frozen=True)
class Scan:
    """What the arms made of images of a split."""

    numbers: list[int]  # of the images, in the split
    scores: np.ndarray  # (arms, images), more is better: the probability of the true class, or the image's mIoU
    apart: (
        np.ndarray
    )  # (images,), how far apart the arms are: the range of `scores`, or the share of pixels that differ

    @property
    def images(self) -> int:
        return self.scores.shape[1]


def choose(scan: Scan, count: int) -> list[tuple[int, str]]:
    """Place in the scan and why it was chosen, no place twice: half of them where arms disagree, the others the worst and
    the best."""
    best, worst = count // 4, (count + 2) // 4
    if len(scan.scores) == 1:
        best, worst = count // 2, count - count // 2
    means = scan.scores.mean(0)
    chosen: dict[int, str] = {}

    def take(order: np.ndarray, wanted: int, why: str) -> None:
        left = [int(i) for i in order if int(i) not in chosen]
        chosen.update(dict.fromkeys(left[:wanted], why))

    apart = np.argsort(-scan.apart, kind="stable")
    take(apart[scan.apart[apart] > 0], count - best - worst, DISAGREE)
    take(np.argsort(means, kind="stable"), count - best - len(chosen), WORST)
    take(np.argsort(-means, kind="stable"), best, BEST)
    return list(chosen.items())


def image_miou(predicted: np.ndarray, truth: np.ndarray, classes: int, ignored: int) -> np.ndarray:
    """(N, H, W) twice → (N,): the mean IoU over the classes that an image has or is said to have."""
    return np.array([_miou(p[t != ignored], t[t != ignored], classes) for p, t in zip(predicted, truth, strict=True)])


def _miou(predicted: np.ndarray, truth: np.ndarray, classes: int) -> float:
    counts = np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes**2).reshape(classes, classes)
    hits, union = np.diag(counts), counts.sum(0) + counts.sum(1) - np.diag(counts)
    return float((hits[union > 0] / union[union > 0]).mean()) if union.any() else 1.0


def share_that_differs(predicted: np.ndarray, truth: np.ndarray, ignored: int) -> np.ndarray:
    """(arms, N, H, W), (N, H, W) → (N,): of the pixels that count, where not all arms say the same."""
    counted = truth != ignored
    differs = (predicted != predicted[:1]).any(0) & counted
    return differs.sum((1, 2)) / np.maximum(counted.sum((1, 2)), 1)
