"""A split of images in files, each with a label or a mask in a file: read one by one, or decoded all at once."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from litconv.data.cache import Allocate, in_memory, key_of
from litconv.data.files import open_image, read_image, read_mask
from litconv.errors import DataError


@dataclass(frozen=True, eq=False)
class FileSet(Dataset):
    """Images in files, each with a label or a mask in a file. Items: uint8 (3, H, W), and a label or a uint8 (H, W)."""

    images: Sequence[str]
    size: tuple[int, int]  # H, W of every item
    resize: bool  # to `size`; else an image of another size is an error
    labels: Tensor | None = None  # int64 (N,): the targets, or where there are masks what a split is stratified by
    masks: Sequence[str] | None = None
    table: np.ndarray | None = None  # mask id → class, INVALID where there is none
    like: str = ""  # the file that `size` was taken from

    def __len__(self) -> int:
        return len(self.images)

    @property
    def nbytes(self) -> int:
        """Of all items, decoded."""
        return len(self) * self.size[0] * self.size[1] * (3 if self.masks is None else 4)

    def subset(self, indices: Tensor) -> "FileSet":
        def take(files: Sequence[str]) -> list[str]:
            return [files[i] for i in indices.tolist()]

        labels = None if self.labels is None else self.labels[indices]
        masks = None if self.masks is None else take(self.masks)
        return replace(self, images=take(self.images), labels=labels, masks=masks)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, target = self._read(index)
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.as_tensor(target)

    def key(self) -> str:
        """Of the decoded split: of every file's path, size and time of change, and of what is done with it."""
        files = [*self.images, *(self.masks or ())]
        folders = {folder: Path(folder).resolve() for folder in {path.rpartition("/")[0] for path in files}}
        digest = hashlib.sha256()
        for path in files:
            folder, _, name = path.rpartition("/")
            try:
                stat = os.stat(path)  # noqa: PTH116 - of 60,000 files
            except OSError:
                open_image(path)  # says what is wrong with it
                raise
            line = f"{folders[folder]}/{name} {stat.st_size} {stat.st_mtime_ns}\0"
            digest.update(line.encode(errors="surrogateescape"))
        labels, table = (None if x is None else np.asarray(x).tobytes() for x in (self.labels, self.table))
        return key_of(digest.digest(), self.size, self.resize, labels, table, PIL.__version__)

    def decode(self, allocate: Allocate = in_memory) -> dict[str, np.ndarray]:
        """`images` and `targets`, everything. PIL decodes outside Python's lock, so threads help, but not with images as
        small as CIFAR's."""
        images = allocate("images", (len(self), 3, *self.size), np.uint8)
        shape, dtype = ((len(self),), np.int64) if self.masks is None else ((len(self), *self.size), np.uint8)
        targets = allocate("targets", shape, dtype)

        def fill(start: int) -> None:
            for index in range(start, min(start + 64, len(self))):
                image, targets[index] = self._read(index)
                images[index] = image.transpose(2, 0, 1)

        workers = min(8, os.cpu_count() or 1) if self.size[0] * self.size[1] >= 96 * 96 else 1  # measured
        with ThreadPoolExecutor(workers) as threads:
            for _ in threads.map(fill, range(0, len(self), 64)):
                pass
        return {"images": images, "targets": targets}

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray | int]:
        """(H, W, 3) and a label or (H, W)."""
        path, (height, width) = self.images[index], self.size
        image = read_image(path)
        fits = (image.height, image.width) == (height, width)
        if not fits and not self.resize:
            raise DataError(
                f"{self.like} is {height}x{width} and {path} is {image.height}x{image.width} (height x width); "
                f"set data.image_size=[{height},{width}] to resize every image"
            )
        pixels = np.asarray(image if fits else image.resize((width, height), Image.Resampling.BILINEAR))
        if self.masks is None:
            return pixels, int(self.labels[index])
        mask = read_mask(self.masks[index], self.table)
        if mask.shape != (image.height, image.width):
            raise DataError(
                f"{path} is {image.height}x{image.width} and its mask {self.masks[index]} is "
                f"{mask.shape[0]}x{mask.shape[1]} (height x width); make them equal"
            )
        if not fits:
            mask = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
        return pixels, mask
