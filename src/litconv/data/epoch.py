"""Which images make up each batch of an epoch, of each process: by (seed, epoch) alone.

Training: shuffled, the last incomplete batch dropped. Evaluation: in order, all. With torch.distributed, every process takes
its share of each global batch of batch_size × processes images, and all processes make the same number of steps.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from litconv.data.draws import private_generator
from litconv.data.order import balanced_order, members_of


def world() -> tuple[int, int]:
    """(rank, number of processes)."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)


class EpochSampler:
    """Which images make up this process's batches of an epoch. Lightning calls its `set_epoch`."""

    def __init__(self, count: int, batch_size: int, *, train: bool, seed: int, labels: Tensor | None = None):
        """`labels` (count,) of images whose classes are to come in equal numbers."""
        self.count, self.batch_size, self.train, self.seed = count, batch_size, train, seed
        self.classes = None if labels is None else members_of(labels)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of an epoch, the same in every process."""
        everywhere = self.batch_size * world()[1]
        return self.count // everywhere if self.train else -(-self.count // everywhere)

    def __iter__(self) -> Iterator[list[int]]:
        """The indices of each batch; torch's DataLoader iterates it once an epoch."""
        order = self.order()
        return iter([order[span].tolist() for span in self.spans()])

    def order(self) -> Tensor:
        """All images, by index, in the epoch's order: (count,)."""
        if not self.train:
            return torch.arange(self.count)
        generator = private_generator(self.seed, self.epoch, "order")
        if self.classes is not None:
            return balanced_order(self.classes, self.count, generator)
        return torch.randperm(self.count, generator=generator)

    def spans(self) -> list[slice]:
        """Where in that order each batch lies."""
        (rank, processes), steps, size = world(), len(self), self.batch_size
        if self.train or processes == 1:
            starts = ((step * processes + rank) * size for step in range(steps))
            return [slice(start, min(start + size, self.count)) for start in starts]
        # Evaluation in several processes: equal numbers of batches, or a collective would wait for ever; no image is
        # counted twice unless there are fewer images than batches.
        parts = steps * processes
        edges = [part * self.count // parts for part in range(parts + 1)]
        return [slice(edges[part], max(edges[part + 1], edges[part] + 1)) for part in range(rank, parts, processes)]
