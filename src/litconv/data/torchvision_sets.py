"""CIFAR-10, CIFAR-100 and Fashion-MNIST in torchvision's on-disk formats; downloaded only if data.download=true.

CIFAR: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html. Fashion-MNIST: https://arxiv.org/abs/1708.07747
A stratified tenth of the training images is held out for validation.
"""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tarfile import TarError
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from litconv.data.cache import Allocate, in_memory, key_of
from litconv.data.fitting import interpolated
from litconv.data.loader import Arrays
from litconv.data.module import DataModule
from litconv.data.sizes import Size
from litconv.errors import DataError
from litconv.files import UNFINISHED, one_at_a_time


def fetch(source: type[datasets.VisionDataset], root: str, folder: Path, **options: str) -> None:
    """Downloads what is not there yet to `folder`, which torchvision keeps below `root`. Only archives of the published MD5
    are unpacked, so that their size is known, and only inside their folder (tarfile's "data" filter)."""
    there = folder.is_dir() and not mark(folder).exists()
    try:
        with one_at_a_time(Path(root).expanduser() / ".fetching.lock", f"fetches {source.__name__}"):
            unfinished = mark(folder)
            if unfinished.exists():  # of a process that was killed, which found nothing there
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.is_dir() and not there:
                return  # another process has fetched it
            elif not there:
                unfinished.parent.mkdir(parents=True, exist_ok=True)
                unfinished.touch()
            source(root, download=True, **options)
            unfinished.unlink(missing_ok=True)
    except (OSError, RuntimeError, EOFError, TarError) as error:  # no network, no space, a wrong checksum
        mark(folder).unlink(missing_ok=True)
        reason = " ".join(str(error).split())
        raise DataError(
            f"data.download=true: {source.__name__} could not be fetched to data.root={root} ({reason}); "
            f"fetch it by hand, or try again"
        ) from error


def mark(folder: Path) -> Path:
    """The file that is there while the folder is being fetched."""
    return folder.with_name(f".{folder.name}{UNFINISHED}")


def missing(root: str, folder: Path) -> DataError:
    return DataError(
        f"data.root={root} has no folder {folder}; set data.root to where it is, or data.download=true to fetch it"
    )


@dataclass(kw_only=True, eq=False, repr=False)
class TorchvisionSet(DataModule):
    """Classification; a subclass names torchvision's class and the folder it keeps below `root`."""

    root: str = "data"
    download: bool = False
    flip: bool = True

    reads_files = False
    resampling = "torch"
    source: ClassVar[type[datasets.VisionDataset]]
    folder: ClassVar[str]
    classes: ClassVar[int]

    def count_classes(self) -> int:
        return self.classes

    def prepare_data(self) -> None:
        if self.download:
            fetch(self.source, self.root, Path(self.root).expanduser() / self.folder)

    def load(self) -> dict[str, Arrays]:
        splits = {}
        for name in ("train", "test"):
            make = partial(self._read, name)
            made = self.cached(name, self._key(name), make) or make(in_memory)
            self.class_names = tuple(made["classes"].tolist())
            splits[name] = Arrays.of(made)
        return splits

    def _key(self, name: str) -> str:
        """Of every file in the folder: its name, size and time of change."""
        where = (Path(self.root).expanduser() / self.folder).resolve()
        stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(where.rglob("*"))]
        return key_of(name, where, stats, self.image_size, torch.__version__)

    def _read(self, name: str, allocate: Allocate) -> dict[str, np.ndarray]:
        try:
            data = self.source(self.root, train=name == "train")
        except Exception as error:  # torchvision has one RuntimeError for all, broken files raise anything
            raise self._unusable(error) from error
        images = torch.as_tensor(data.data)
        images = images.permute(0, 3, 1, 2) if images.ndim == 4 else images[:, None]  # (N, C, H, W)
        parts = {
            "images": self._sized(images).numpy(),
            "targets": np.asarray(data.targets, np.int64),
            "classes": np.array(data.classes),
        }
        made = {part: allocate(part, values.shape, values.dtype) for part, values in parts.items()}
        for part, values in parts.items():
            made[part][:] = values
        return made

    def _sized(self, images: Tensor) -> Tensor:
        if tuple(images.shape[-2:]) == self.image_size:
            return images
        return torch.cat([interpolated(part, self.image_size) for part in images.split(1000)])

    def _unusable(self, error: Exception) -> DataError:
        where = Path(self.root).expanduser() / self.folder
        if not where.is_dir():
            return missing(self.root, where)
        return DataError(
            f"{where} is incomplete or corrupt ({type(error).__name__}: {' '.join(str(error).split())[:80]}); "
            f"remove it and set data.download=true to fetch it again"
        )


@dataclass(kw_only=True, eq=False, repr=False)
class CIFAR10(TorchvisionSet):
    """50,000 + 10,000 images in ten classes: uint8 (N, 3, 32, 32)."""

    image_size: Size | None = (32, 32)
    mean: tuple[float, ...] = (0.4914, 0.4822, 0.4465)
    std: tuple[float, ...] = (0.2470, 0.2435, 0.2616)
    crop_padding: int = 4

    source = datasets.CIFAR10
    folder = "cifar-10-batches-py"
    classes = 10


@dataclass(kw_only=True, eq=False, repr=False)
class CIFAR100(CIFAR10):
    """50,000 + 10,000 images in a hundred classes: uint8 (N, 3, 32, 32)."""

    mean: tuple[float, ...] = (0.5071, 0.4865, 0.4409)
    std: tuple[float, ...] = (0.2673, 0.2564, 0.2762)

    source = datasets.CIFAR100
    folder = "cifar-100-python"
    classes = 100


@dataclass(kw_only=True, eq=False, repr=False)
class FashionMNIST(TorchvisionSet):
    """60,000 + 10,000 grey images in ten classes: uint8 (N, 1, 28, 28). One channel: three would repeat its numbers."""

    image_size: Size | None = (28, 28)
    mean: tuple[float, ...] = (0.2860,)
    std: tuple[float, ...] = (0.3530,)
    crop_padding: int = 2

    in_channels = 1
    source = datasets.FashionMNIST
    folder = "FashionMNIST"
    classes = 10
