"""`task.class_weights`: a list, one weight for each class, or `balanced`, by the images (of masks: the pixels) of train.

balanced   w_c = N / (classes · n_c), the formula of scikit-learn's compute_class_weight: the mean weight over train is 1
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from litconv.errors import ConfigError


def check(weights: list[float] | str | None) -> None:
    """What the values say without the classes."""
    if isinstance(weights, list):
        wrong = [
            w for w in weights if isinstance(w, bool) or not isinstance(w, int | float) or not 0 < w < float("inf")
        ]
        if wrong or not weights:
            said = f"holds {wrong[0]}" if weights else "is empty"
            raise ConfigError(
                f"task.class_weights={weights} {said}; each class needs a weight greater than 0, such as 1.0"
            )


def fitting(weights: list[float] | None, class_names: Sequence[str]) -> Tensor | None:
    """One for each class, (classes,)."""
    if weights is None:
        return None
    check(weights)
    if len(weights) != len(class_names):
        raise ConfigError(
            f"task.class_weights has {len(weights)} weights, and the set has {len(class_names)} classes; "
            f"give one for each of {', '.join(class_names)}, in this order"
        )
    return torch.tensor(weights).float()


def balanced(counts: Sequence[int], class_names: Sequence[str]) -> list[float]:
    """`counts`: images or pixels of each class in train."""
    absent = [name for name, count in zip(class_names, counts, strict=True) if not count]
    if absent:
        raise ConfigError(
            f"task.class_weights=balanced: train shows nothing of {', '.join(absent)}, whose weight would be infinite; "
            f"give a list of {len(class_names)} weights, or leave the class out of the set"
        )
    return [sum(counts) / (len(counts) * count) for count in counts]
