"""Does a file compute what the model does? Both are asked about the same images."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from litconv.errors import ExportError
from litconv.files import write_whole

LIMIT = 1e-4  # of the largest logit, or of 1 where that is larger
Runner = Callable[[np.ndarray], np.ndarray]  # images → logits


@dataclass(frozen=True)
class Parity:
    runtime: str
    max_abs_difference: float  # of logits
    largest_logit: float  # its absolute value, of PyTorch's
    limit: float  # that the difference may reach
    same_predictions: float  # share of the images, or pixels, with the same largest logit
    images: int
    images_of: str  # where they are from

    @property
    def holds(self) -> bool:
        return self.max_abs_difference <= self.limit  # never of one that is not a number

    def __str__(self) -> str:
        return (
            f"{self.runtime} differs from PyTorch by at most {self.max_abs_difference:.1e} ({self.limit:.1e} is allowed) on "
            f"{'1 image' if self.images == 1 else f'{self.images} images'}: {self.images_of}"
        )

    def write(self, path: Path) -> None:
        write_whole(path, (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode())


def parity_of(model: nn.Module, run: Runner, images: Tensor, *, runtime: str, images_of: str) -> Parity:
    with torch.no_grad():
        expected = model(images).numpy()
    found = run(images.numpy())
    if found.shape != expected.shape:
        raise ExportError(f"{runtime} gives logits of shape {found.shape} where PyTorch gives {expected.shape}")
    largest = float(np.abs(expected).max())
    return Parity(
        runtime=runtime,
        max_abs_difference=float(np.abs(found - expected).max()),
        largest_logit=largest,
        limit=LIMIT * max(1.0, largest),
        same_predictions=float((found.argmax(1) == expected.argmax(1)).mean()),
        images=len(images),
        images_of=images_of,
    )
