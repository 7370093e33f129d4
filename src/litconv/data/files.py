"""Images and masks in files: finding them, reading one, reading all. Every fault is a DataError that names the file.

Only PIL decodes (torchvision.io ends the process on some broken files). Orientation tags (EXIF) are not applied.
"""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from litconv.data.loader import Arrays
from litconv.errors import DataError

MAX_PIXELS = Image.MAX_IMAGE_PIXELS  # of an image; above it PIL warns of a decompression bomb, here it is refused
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the refusal says it

INVALID = -1  # in a table of mask ids


def list_images(folder: Path) -> list[str]:
    """Every file under `folder`, at any depth, whose extension PIL can read, sorted; hidden files left out."""
    Image.preinit()  # the common formats first, or every JPEG is offered to a dozen rare ones before
    readable = {extension for extension, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    found = []
    for where, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(where, name) for name in files if not name.startswith("."))
        found += [str(path) for path in paths if path.suffix.lower() in readable]
    return sorted(found)


def open_image(path: str) -> Image.Image:
    """The file's header: its size and mode are known, its pixels not yet decoded."""
    try:
        image = Image.open(path)
    except FileNotFoundError:
        raise DataError(f"{path} is missing; restore it or take it off the list") from None
    except Image.DecompressionBombError:
        raise DataError(f"{path} has over {2 * MAX_PIXELS} pixels, the limit is {MAX_PIXELS}; scale it down") from None
    except Exception as error:  # PIL's plugins raise SyntaxError, struct.error, … for broken files
        raise _broken(path, error) from error
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{path} has {image.width * image.height} pixels, the limit is {MAX_PIXELS}; scale it down")
    return image


def read_size(path: str) -> tuple[int, int]:
    """(height, width) from the header."""
    with open_image(path) as image:
        return image.height, image.width


def read_image(path: str) -> Image.Image:
    """8-bit RGB, its own size."""
    with open_image(path) as image:
        if image.mode.startswith(("I", "F")):
            raise DataError(f"{path} has {image.mode} pixels, more than 8 bits a channel; save it as 8-bit grey or RGB")
        try:
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")
            image.load()
            return image if image.mode == "RGB" else image.convert("RGB")
        except Exception as error:
            raise _broken(path, error) from error


def read_mask(path: str, table: np.ndarray) -> np.ndarray:
    """The class of each pixel, uint8 (H, W). `table` maps the file's ids to classes; a palette's indices are ids."""
    with open_image(path) as image:
        if len(image.getbands()) != 1 or image.mode == "F":
            raise DataError(
                f"{path} has {image.mode} pixels; a mask has one channel, the class id; save it as 8-bit grey"
            )
        try:
            ids = np.asarray(image).astype(np.int32)
        except Exception as error:
            raise _broken(path, error) from error
    known = (ids >= 0) & (ids < len(table))
    classes = table[np.where(known, ids, 0)]
    wrong = ~known | (classes == INVALID)
    if wrong.any():
        unknown, accepted = ids[wrong][0], _ranges(np.flatnonzero(table != INVALID))
        raise DataError(
            f"{path} holds id {unknown}, which is none of the classes (ids {accepted}); "
            f"correct the mask, add the class, or ignore it with data.ignore_index={unknown}"
        )
    return classes.astype(np.uint8)


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

    def decode(self) -> Arrays:
        """Everything. PIL decodes outside Python's lock, so threads help, but not with images as small as CIFAR's."""
        images = np.empty((len(self), *self.size, 3), np.uint8)
        targets = np.empty(len(self), np.int64) if self.masks is None else np.empty((len(self), *self.size), np.uint8)

        def fill(start: int) -> None:
            for index in range(start, min(start + 64, len(self))):
                images[index], targets[index] = self._read(index)

        workers = min(8, os.cpu_count() or 1) if self.size[0] * self.size[1] >= 96 * 96 else 1  # measured
        with ThreadPoolExecutor(workers) as threads:
            for _ in threads.map(fill, range(0, len(self), 64)):
                pass
        return Arrays(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(targets))

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


def _broken(path: str, error: Exception) -> DataError:
    if not Path(path).is_file():
        reason = "it is not a file"
    elif not Path(path).stat().st_size:
        reason = "it is empty"
    else:
        reason = " ".join(str(error).replace(repr(path), "it").split()) or type(error).__name__
    return DataError(f"{path} cannot be read as an image ({reason}); replace or remove it")


def _ranges(ids: np.ndarray) -> str:
    """[0, 1, 2, 255] → '0-2, 255'."""
    runs = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
