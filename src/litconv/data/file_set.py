"""A split of images in files, each with a label or a mask in a file: read one by one, or decoded all at once."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor
from torch.utils.data import Dataset

from litconv.data.cache import Allocate, in_memory, key_of
from litconv.data.class_list import ClassList
from litconv.data.files import open_image, read_image
from litconv.data.fitting import Fit, fitted_mask, pixels_of
from litconv.data.mask_survey import unfitting
from litconv.data.masks import DepthError, UnknownCodeError, read_mask
from litconv.errors import DataError

DECODING = 2  # of what is kept; what an earlier version decoded (its photographs as they lie) is not found any more


@dataclass(frozen=True, eq=False)
class FileSet(Dataset):
    """Images in files, each with a label or a mask in a file. Items: `dtype` (channels, H, W), and a label or a uint8 (H, W)."""

    images: Sequence[str]
    size: tuple[int, int]  # H, W of every item
    resize: bool  # to `size`; else an image of another size is an error
    fit: Fit = "stretch"  # how one of another shape is brought to it
    labels: Tensor | None = None  # int64 (N,): the targets, or where there are masks what a split is stratified by
    masks: Sequence[str] | None = None
    classes: ClassList | None = None  # what the masks hold
    like: str = ""  # the file that `size` was taken from
    channels: int = 3
    dtype: type = np.uint8  # uint16: one channel of 16 bits

    def __len__(self) -> int:
        return len(self.images)

    @property
    def nbytes(self) -> int:
        """Of all items, decoded."""
        image = self.channels * np.dtype(self.dtype).itemsize
        return len(self) * self.size[0] * self.size[1] * (image if self.masks is None else image + 1)

    @cached_property
    def table(self) -> np.ndarray:
        return self.classes.table()

    def subset(self, indices: Tensor) -> "FileSet":
        def take(files: Sequence[str]) -> list[str]:
            return [files[i] for i in indices.tolist()]

        labels = None if self.labels is None else self.labels[indices]
        masks = None if self.masks is None else take(self.masks)
        return replace(self, images=take(self.images), labels=labels, masks=masks)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        with self._explained():
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
        labels = None if self.labels is None else np.asarray(self.labels).tobytes()
        classes = None if self.classes is None else (self.table.tobytes(), sorted(self.classes.colours.items()))
        pixels = DECODING, self.size, self.resize, self.channels, np.dtype(self.dtype).str
        pixels = pixels if self.fit == "stretch" else (*pixels, self.fit)
        return key_of(digest.digest(), pixels, labels, classes, PIL.__version__)

    def decode(self, allocate: Allocate = in_memory) -> dict[str, np.ndarray]:
        """`images` and `targets`, everything; `digests`, equal for equal images; of masks `present`, which classes each
        holds. PIL decodes outside Python's lock, so threads help, but not with images as small as CIFAR's."""
        images = allocate("images", (len(self), self.channels, *self.size), self.dtype)
        digests = allocate("digests", (len(self),), np.uint64)
        made = {"images": images, "digests": digests}
        if self.masks is None:
            targets = made["targets"] = allocate("targets", (len(self),), np.int64)
        else:
            targets = made["targets"] = allocate("targets", (len(self), *self.size), np.uint8)
            made["present"] = allocate("present", (len(self), 256), np.bool_)
            made["present"][:] = False

        def fill(start: int) -> None:
            for index in range(start, min(start + 64, len(self))):
                image, targets[index] = self._read(index)
                images[index] = image.transpose(2, 0, 1)
                digests[index] = np.frombuffer(hashlib.blake2b(images[index], digest_size=8).digest(), np.uint64)[0]
                if self.masks is not None:
                    made["present"][index, targets[index]] = True

        workers = min(8, os.cpu_count() or 1) if self.size[0] * self.size[1] >= 96 * 96 else 1  # measured
        with self._explained(), ThreadPoolExecutor(workers) as threads:
            for _ in threads.map(fill, range(0, len(self), 64)):
                pass
        return made

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray | int]:
        """(H, W, channels) and a label or (H, W)."""
        path, (height, width) = self.images[index], self.size
        image = read_image(path, self.channels, self.dtype)
        if (image.height, image.width) != (height, width) and not self.resize:
            raise DataError(
                f"{self.like} is {height}x{width} and {path} is {image.height}x{image.width} (height x width); "
                f"set data.image_size=[{height},{width}] to resize every image (data.fit=crop or letterbox keeps its shape)"
            )
        pixels = pixels_of(image, self.size, self.fit)
        if self.masks is None:
            return pixels, int(self.labels[index])
        mask = read_mask(self.masks[index], self.classes, self.table)
        if mask.shape != (image.height, image.width):
            raise DataError(
                f"{path} is {image.height}x{image.width} and its mask {self.masks[index]} is "
                f"{mask.shape[0]}x{mask.shape[1]} (height x width{self._turned(index, mask)}); make them equal"
            )
        return pixels, self._sized(mask)

    def mask(self, index: int) -> np.ndarray:
        """The mask of an item without its image: (H, W)."""
        with self._explained():
            return self._sized(read_mask(self.masks[index], self.classes, self.table))

    def _sized(self, mask: np.ndarray) -> np.ndarray:
        return mask if mask.shape == self.size else fitted_mask(mask, self.size, self.fit, self.classes.ignore_index)

    def _turned(self, index: int, mask: np.ndarray) -> str:
        """A clause on an image of the mask's size that its EXIF tag lays on its side."""
        with open_image(self.images[index]) as stored:
            lies = (stored.height, stored.width) == mask.shape
        return ", turned upright by its EXIF orientation, which the mask does not follow" if lies else ""

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """A mask that does not fit its classes is explained by what all masks hold, once, not in every thread."""
        try:
            yield
        except (UnknownCodeError, DepthError) as error:
            raise unfitting(error, self.masks, self.classes) from None
