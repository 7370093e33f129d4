"""How much of each class the training split holds: images where they have labels, else pixels of the masks."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from litconv.data.file_set import FileSet
from litconv.data.loader import Arrays
from litconv.data.splits import listed
from litconv.errors import ConfigError

AT_ONCE = 256  # masks


def class_counts(split: Arrays | FileSet, classes: int) -> list[int]:
    """Pixels of the ignored id count for none. Masks that are in files only are read, once."""
    if isinstance(split, FileSet) and split.masks is not None:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
            counts = sum(threads.map(lambda index: of_each(torch.from_numpy(split.mask(index))), range(len(split))))
    elif split.labels is not None:
        counts = torch.bincount(split.labels, minlength=classes)
    else:
        counts = sum(of_each(masks) for masks in split.targets.split(AT_ONCE))
    return counts[:classes].tolist()


def require_every_class(split: Arrays | FileSet, class_names: Sequence[str]) -> None:
    """For sampling that is balanced, by labels."""
    counts = torch.bincount(split.labels, minlength=len(class_names)).tolist()
    absent = [name for name, count in zip(class_names, counts, strict=True) if not count]
    if absent:
        raise ConfigError(
            f"data.sampling=balanced: train has no image of {listed(absent)}; add some, remove the class from the set, "
            "or set data.sampling=uniform"
        )


def of_each(masks: Tensor) -> Tensor:
    """Pixels of each of 256 ids."""
    return torch.bincount(masks.flatten(), minlength=256)
