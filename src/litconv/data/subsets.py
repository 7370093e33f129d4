"""Which training images validation takes, and which ones a run trains on where it asks for fewer than there are.

Both choices are by `split_seed` alone, so that they are the same for every arm and every seed of a run, and stratified by
label; masks have none, and of them any image may be chosen.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from litconv.data.draws import private_generator
from litconv.data.file_set import FileSet
from litconv.data.loader import Arrays
from litconv.data.order import members_of
from litconv.errors import ConfigError, DataError

Split = Arrays | FileSet


def held_out(train: Split, split_seed: int) -> Tensor:
    """For validation: a tenth of every class, at least one where it has two images."""
    chosen = []
    for members in shuffled_classes(train, split_seed, "split"):
        share = max(round(0.1 * len(members)), 1) if len(members) > 1 else 0
        chosen.append(members[:share])
    indices = torch.cat(chosen).sort().values
    if not len(indices):
        raise DataError(f"{len(train)} training images, one per class, leave none for validation; add a val split")
    return indices


def check_folds(folds: int | None, fold: int | None) -> None:
    if folds is None:
        if fold is not None:
            raise ConfigError(
                f"data.fold={fold} has no effect without data.folds, such as data.folds=5; remove it or set both"
            )
        return
    if type(folds) is not int or folds < 2:
        raise ConfigError(f"data.folds={folds} must be a whole number, at least 2, or null")
    if fold is None:
        every = ",".join(map(str, range(folds)))
        raise ConfigError(
            f"data.folds={folds} needs data.fold=0 … {folds - 1}, or all of them in a sweep: -m data.fold={every}"
        )
    if type(fold) is not int or not 0 <= fold < folds:
        raise ConfigError(f"data.fold={fold} must be a whole number from 0 to {folds - 1}, since data.folds={folds}")


def in_folds(splits: Mapping[str, FileSet], folds: int, fold: int, split_seed: int) -> dict[str, FileSet]:
    """Train cut into its fold, which is tested on, and the rest. The images of each class take turns over the folds, where the
    class before has stopped, so that folds differ by one image at most, of a class as well."""
    if splits.keys() != {"train"}:
        others = " and ".join(splits.keys() - {"train"})
        raise ConfigError(f"data.folds={folds} cuts a set without splits, and this one has {others}; remove data.folds")
    train = splits["train"]
    if folds > len(train):
        raise ConfigError(f"data.folds={folds} are more than the {len(train)} images; use fewer")
    order = torch.cat(shuffled_classes(train, split_seed, "folds"))
    chosen = order[fold::folds].sort().values
    return {"train": without(train, chosen), "test": train.subset(chosen)}


def some(train: Split, count: int, split_seed: int) -> Tensor:
    """So many, each class by its share and at least once. A smaller choice is part of a larger one.

    The images of a class take turns (i + ½) / size, and the earliest turns are chosen: Sainte-Laguë's rule for seats.
    """
    if count > len(train):
        raise ConfigError(
            f"data.n_train={count} is larger than the training split ({len(train)} images, without validation's); "
            f"use data.n_train={len(train)} or less, or null for all"
        )
    classes = shuffled_classes(train, split_seed, "n_train")
    if count < len(classes):
        raise ConfigError(
            f"data.n_train={count} is less than the number of classes, {len(classes)}, and each needs an image; "
            f"use data.n_train={len(classes)} or more"
        )
    turns = [(torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members) for members in classes]
    for turn in turns:
        turn[0] = 0
    earliest = torch.cat(turns).argsort(stable=True)[:count]
    return torch.cat(classes)[earliest].sort().values


def without(split: Split, indices: Tensor) -> Split:
    kept = torch.ones(len(split), dtype=torch.bool)
    kept[indices] = False
    return split.subset(kept.nonzero()[:, 0])


def shuffled_classes(split: Split, seed: int, purpose: str) -> list[Tensor]:
    """The indices of each class's images in an order drawn from (seed, purpose), classes sorted; of masks one class."""
    labels = torch.zeros(len(split), dtype=torch.long) if split.labels is None else split.labels
    generator = private_generator(seed, purpose)
    return [members[torch.randperm(len(members), generator=generator)] for members in members_of(labels)]
