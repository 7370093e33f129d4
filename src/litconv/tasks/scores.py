"""What a confusion matrix says. Rows are the true classes, columns the predicted ones: int64 (classes, classes).

precision  TP / (TP + FP), 0 of a class that is never predicted;   recall  TP / (TP + FN);   F1  2 TP / (2 TP + FP + FN)
macro F1   the mean over the classes that are in truth or predicted (torchmetrics, scikit-learn)
balanced accuracy   the mean recall of the classes that have an image (https://doi.org/10.1109/ICPR.2010.764, scikit-learn)
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def averages(confusion: Tensor) -> dict[str, float]:
    """Of all classes."""
    truth, seen = confusion.sum(1) > 0, confusion.sum(1) + confusion.sum(0) > 0
    _, recall, f1 = by_class(confusion)
    return {
        "accuracy": (confusion.diag().sum().float() / confusion.sum().float()).item(),
        "macro_f1": f1[seen].mean().item(),
        "balanced_accuracy": recall[truth].mean().item(),
    }


def named(confusion: Tensor, class_names: Sequence[str]) -> dict[str, float]:
    """Of each class that has an image, under its name."""
    figures = zip(("precision", "recall", "f1"), by_class(confusion), strict=True)
    there = (confusion.sum(1) > 0).tolist()
    return {
        f"{key}/{name}": value
        for key, values in figures
        for name, value, is_there in zip(class_names, values.tolist(), there, strict=True)
        if is_there
    }


def by_class(confusion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Precision, recall and F1: float64 (classes,)."""
    hits, truth, predicted = (part.double() for part in (confusion.diag(), confusion.sum(1), confusion.sum(0)))
    return tuple(
        above / below.clamp(min=1) for above, below in ((hits, predicted), (hits, truth), (2 * hits, truth + predicted))
    )


def rows(confusion: Tensor, class_names: Sequence[str]) -> tuple[list[str], list[list[str | int]]]:
    """The matrix as a table: its columns, and a row for each true class."""
    counts = confusion.to(torch.int64).tolist()
    return ["truth", *class_names], [[name, *row] for name, row in zip(class_names, counts, strict=True)]
