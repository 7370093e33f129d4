"""The images of each class, and an order in which all classes come in equal numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor


def members_of(labels: Tensor) -> tuple[Tensor, ...]:
    """The indices of the images of each class that has any, classes sorted, the indices too."""
    counts = labels.unique(return_counts=True)[1].tolist()
    return labels.argsort(stable=True).split(counts)


def balanced_order(classes: Sequence[Tensor], count: int, generator: torch.Generator) -> Tensor:
    """`count` images, equal numbers of each class up to one. `classes`: the indices of the images of each.

    The images of a class come again only when all of its others have come: drawn with replacement, as by torch's
    WeightedRandomSampler, over a third of them would be left out of an epoch by chance.
    """
    share, rest = divmod(count, len(classes))
    drawn = []
    for rank, members in zip(torch.randperm(len(classes), generator=generator).tolist(), classes, strict=True):
        wanted = share + (rank < rest)
        rounds = [members[torch.randperm(len(members), generator=generator)] for _ in range(-(-wanted // len(members)))]
        drawn += [torch.cat(rounds)[:wanted]] if rounds else []
    return torch.cat(drawn)[torch.randperm(count, generator=generator)]
