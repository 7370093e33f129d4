"""Batch loaders: an epoch's order and augmentation depend on (seed, epoch) alone.

`InMemoryLoader` indexes uint8 tensors, on the training device or, where they are too large for it, mapped from the cache;
`StreamLoader` reads files through a torch DataLoader. Both yield the same batches for the same data, in the order of
`EpochSampler`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from litconv.data.augment import Augment
from litconv.data.draws import private_generator
from litconv.data.epoch import EpochSampler
from litconv.errors import DataError

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Arrays:
    """A split in memory."""

    images: Tensor  # uint8, or uint16 for more than 8 bits (N, C, H, W)
    targets: Tensor  # labels int64 (N,), or masks uint8 (N, H, W)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> Tensor | None:
        """What a split is stratified by; masks have none."""
        return self.targets if self.targets.ndim == 1 else None

    def subset(self, indices: Tensor) -> "Arrays":
        return Arrays(self.images[indices], self.targets[indices])

    def to(self, device: torch.device) -> "Arrays":
        return Arrays(self.images.to(device), self.targets.to(device))

    @classmethod
    def of(cls, decoded: dict[str, np.ndarray]) -> "Arrays":
        return cls(torch.from_numpy(decoded["images"]), torch.from_numpy(decoded["targets"]))


class _BatchLoader:
    """What both loaders share. (No reference cycles: a DataLoader that the garbage collector ends is slow to end.)"""

    batch_sampler = None  # Lightning looks for it

    def __init__(self, augment: Augment, image_size: tuple[int, int], device: torch.device, sampler: EpochSampler):
        self.augment, self.image_size, self.device, self.sampler = augment, image_size, device, sampler
        self.batch_size = sampler.batch_size

    def __len__(self) -> int:
        return len(self.sampler)

    def draws(self) -> dict[str, Tensor]:
        """The augmentation of the epoch, by position in its order, on the device; empty for evaluation."""
        plan = self.sampler
        draws = self.augment.draw(plan.count, self.image_size, plan.seed, plan.epoch) if plan.train else {}
        return {name: values.to(self.device) for name, values in draws.items()}


class InMemoryLoader(_BatchLoader):
    """Batches (x, y) from `Arrays`: x float32 (N, C, h, w), normalised; y int64 (N,) or (N, h, w)."""

    def __init__(
        self,
        arrays: Arrays,
        augment: Augment,
        batch_size: int,
        *,
        train: bool,
        seed: int = 0,
        labels: Tensor | None = None,
        device: torch.device = CPU,
    ):
        sampler = EpochSampler(len(arrays), batch_size, train=train, seed=seed, labels=labels)
        super().__init__(augment, tuple(arrays.images.shape[-2:]), device, sampler)
        self.arrays = arrays

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        draws, order = self.draws(), self.sampler.order().to(self.arrays.images.device)  # once an epoch, not in a step
        for span in self.sampler.spans():
            yield self._batch(order[span] if self.sampler.train else span, {k: draw[span] for k, draw in draws.items()})

    def _batch(self, index: Tensor | slice, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        images, targets = self.arrays.images, self.arrays.targets
        here = images.device == self.device
        if here and isinstance(index, Tensor):
            return self.augment(images, targets, draws, index)
        chosen = images[index], targets[index]
        if not here:  # mapped from the cache
            chosen = tuple(part.pin_memory().to(self.device, non_blocking=True) for part in chosen)
        return self.augment(*chosen, draws)


class StreamLoader(_BatchLoader):
    """The same batches from a `Dataset` of (uint8 (C, H, W), label or mask (H, W)), read by `num_workers` processes."""

    def __init__(
        self,
        dataset: Dataset,
        augment: Augment,
        image_size: tuple[int, int],
        batch_size: int,
        *,
        train: bool,
        seed: int = 0,
        labels: Tensor | None = None,
        num_workers: int = 0,
        persistent: bool = False,  # the processes last from epoch to epoch: for a `dataset` that draws nothing at random
        device: torch.device = CPU,
    ):
        sampler = EpochSampler(len(dataset), batch_size, train=train, seed=seed, labels=labels)
        super().__init__(augment, image_size, device, sampler)
        self.reader = DataLoader(
            _Reporting(dataset),
            batch_sampler=self.sampler,
            collate_fn=_collate,
            num_workers=num_workers,
            persistent_workers=persistent and num_workers > 0,
            pin_memory=device.type == "cuda",
            generator=private_generator(seed, 0, "workers"),  # else the DataLoader draws from the global one
        )

    @property
    def _iterator(self) -> object:
        """Of the reading processes. Lightning ends them with a run, however that ends, as it does a DataLoader's own."""
        return self.reader._iterator

    @_iterator.setter
    def _iterator(self, iterator: object) -> None:
        self.reader._iterator = iterator

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        draws = self.draws()
        plan = self.sampler
        self.reader.generator = private_generator(plan.seed, plan.epoch, "workers")  # their own are seeded by it
        for span, batch in zip(plan.spans(), self.reader, strict=True):
            if isinstance(batch, DataError):
                self._iterator = None  # the processes end now, not when garbage is collected
                raise batch
            images, targets = (part.to(self.device, non_blocking=True) for part in batch)
            yield self.augment(images, targets, {name: values[span] for name, values in draws.items()})


class _Reporting(Dataset):
    """Hands a DataError over as a sample: raised in a worker, it would arrive wrapped in that worker's traceback."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor] | DataError:
        try:
            return self.dataset[index]
        except DataError as error:
            return error


def _collate(samples: list[tuple[Tensor, Tensor | int] | DataError]) -> tuple[Tensor, Tensor] | DataError:
    for sample in samples:
        if isinstance(sample, DataError):
            return sample
    images, targets = zip(*samples, strict=True)
    return torch.stack(images), torch.stack([torch.as_tensor(target) for target in targets])
