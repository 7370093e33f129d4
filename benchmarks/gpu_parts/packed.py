"""CIFAR-10, or images like it, in one file that travels: each split is one JPEG, a mosaic of 32×32 tiles.

JPEG's blocks of 8×8 end where a tile ends, so that no image has anything of its neighbours. Colours keep their full
resolution. An .npz: train, train_targets, test, test_targets, classes.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from litconv.data.loader import Arrays
from litconv.data.torchvision_sets import CIFAR10
from litconv.errors import DataError

SIDE, COLUMNS = 32, 100
Split = tuple[np.ndarray, np.ndarray]  # uint8 (N, 32, 32, 3) and int64 (N,)


def mosaic(images: np.ndarray, quality: int) -> np.ndarray:
    """(N, 32, 32, 3) → the bytes of one JPEG, uint8 (length,)."""
    rows = -(-len(images) // COLUMNS)
    tiles = np.zeros((rows * COLUMNS, SIDE, SIDE, 3), np.uint8)
    tiles[: len(images)] = images
    picture = tiles.reshape(rows, COLUMNS, SIDE, SIDE, 3).swapaxes(1, 2).reshape(rows * SIDE, COLUMNS * SIDE, 3)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=0)
    return np.frombuffer(file.getvalue(), np.uint8)


def tiles_of(jpeg: np.ndarray, count: int) -> np.ndarray:
    """(length,) → (count, 32, 32, 3)."""
    picture = np.asarray(Image.open(io.BytesIO(jpeg.tobytes())))
    rows = picture.shape[0] // SIDE
    tiles = picture.reshape(rows, SIDE, COLUMNS, SIDE, 3).swapaxes(1, 2)
    return tiles.reshape(-1, SIDE, SIDE, 3)[:count]


def pack(splits: Mapping[str, Split], classes: Sequence[str], path: Path, most_bytes: int = 30 * 10**6) -> int:
    """In the best quality of 95, 90, … that keeps within `most_bytes`; returns the quality."""
    for quality in range(95, 0, -5):
        arrays = {name: mosaic(images, quality) for name, (images, _) in splits.items()}
        if sum(jpeg.nbytes for jpeg in arrays.values()) < 0.95 * most_bytes:
            break
    arrays |= {f"{name}_targets": targets for name, (_, targets) in splits.items()}
    np.savez(path, classes=np.array(classes), **arrays)
    return quality


def drawn(count: int, classes: int, seed: int) -> Split:
    """Where there is no real set: stripes whose direction is the class, under noise."""
    generator = np.random.default_rng(seed)
    targets = np.arange(count) % classes
    angle = np.pi * targets[:, None, None] / classes
    y, x = np.mgrid[:SIDE, :SIDE]
    phase = generator.uniform(0, 2 * np.pi, (count, 1, 1))
    stripes = np.sin(0.8 * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    images = 128 + 50 * stripes[..., None] + generator.normal(0, 40, (count, SIDE, SIDE, 3))
    return images.clip(0, 255).astype(np.uint8), targets.astype(np.int64)


@dataclass(kw_only=True, eq=False, repr=False)
class Packed(CIFAR10):
    """`root` is the file."""

    flip: bool = True

    def load(self) -> dict[str, Arrays]:
        try:
            with np.load(Path(self.root).expanduser()) as file:
                made = dict(file)
        except (OSError, ValueError) as error:
            raise DataError(f"data.root={self.root} is no file of packed images ({error})") from error
        self.class_names = tuple(made["classes"].tolist())
        splits = {}
        for name in ("train", "test"):
            targets = torch.from_numpy(made[f"{name}_targets"])
            images = torch.from_numpy(tiles_of(made[name], len(targets)).copy()).permute(0, 3, 1, 2)
            splits[name] = Arrays(images.contiguous(), targets)
        return splits
