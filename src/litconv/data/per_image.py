"""Transforms that see one image at a time: torchvision's colour jitter, the policies, one of the user's own.

They draw from the global generators, as torchvision's do. Here each image has its own seed, which depends on (seed, epoch,
its place in the epoch's order) alone, and the generators are put back: the same for every arm, in every process, on
resuming, and nothing else that a run draws moves.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from litconv.errors import ConfigError


class PerImage:
    """Each of `transforms` takes an image, uint8 (C, H, W), or an image and its mask, int64 (H, W), and returns the like. They
    are handed over as torchvision's `Image` and `Mask`, so that its v2 transforms move both."""

    def __init__(self, transforms: Sequence[Callable]) -> None:
        self.transforms = transforms

    def __call__(self, images: Tensor, targets: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (N, C, H, W), labels (N,) or masks (N, H, W), seeds (N,) → the same."""
        dense, x, y = targets.ndim == 3, [], []
        with generators_put_back(images.device):
            for image, target, seed in zip(images, targets, seeds.tolist(), strict=True):
                seed_all(seed, images.device)
                image, target = self.of_one(image, target) if dense else (self.of_one(image)[0], target)
                x.append(image)
                y.append(target)
        return torch.stack(x), torch.stack(y) if dense else targets

    def of_one(self, image: Tensor, *mask: Tensor) -> tuple[Tensor, ...]:
        from torchvision import tv_tensors  # here: a run without such transforms need not import it

        before = parts = (tv_tensors.Image(image), *map(tv_tensors.Mask, mask))
        for transform in self.transforms:
            made = transform(*parts)
            parts = made if isinstance(made, tuple | list) else (made,)
            check(transform, before, parts)
        return tuple(part.as_subclass(Tensor) for part in parts)


def check(transform: Callable, given: Sequence[Tensor], made: Sequence[object]) -> None:
    """Of what a user's own has made."""
    wanted, found = [shown(part) for part in given], [shown(part) for part in made]
    if wanted != found:
        raise ConfigError(
            f"data.augment: {type(transform).__name__} made {' and '.join(found)} of {' and '.join(wanted)}; "
            "it must return tensors of the type and size that it is given"
        )


def shown(value: object) -> str:
    """uint8 (3, 32, 32)"""
    is_tensor = isinstance(value, Tensor)
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}" if is_tensor else type(value).__name__


@contextmanager
def generators_put_back(device: torch.device) -> Iterator[None]:
    own, numpys = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(own)
            np.random.set_state(numpys)


def seed_all(seed: int, device: torch.device) -> None:
    """`seed` below 2**32."""
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
