"""The base of all data sets: a subclass says what it holds (`load`), this makes splits and batches of it."""

import logging
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pytorch_lightning as pl
import torch

from litconv.data import transforms
from litconv.data.augment import Augment
from litconv.data.cache import Cache, Make, folder_of
from litconv.data.class_list import Colour
from litconv.data.counts import class_counts, require_every_class
from litconv.data.file_set import FileSet
from litconv.data.fitting import LEAVES_OUT, Fit, Resampling
from litconv.data.loader import Arrays, InMemoryLoader, StreamLoader, world
from litconv.data.problem import UNKNOWN_CLASSES, Problem
from litconv.data.remarks import remark, remark_darkness
from litconv.data.sizes import Size, pair, show
from litconv.data.subsets import held_out, some, without
from litconv.errors import ConfigError

log = logging.getLogger(__name__)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY_MEAN, GREY_STD = (0.449,), (0.226,)  # of one channel: the means of the three
AT_LEAST = {
    "batch_size": 1,
    **dict.fromkeys(("num_workers", "memory_limit_mb", "cache_limit_mb", "crop_padding", "cutout"), 0),
}


@dataclass(kw_only=True, eq=False, repr=False)
class DataModule(pl.LightningDataModule):
    """Splits and batches of one data set. A subclass redeclares the fields whose defaults it changes, defines `load`.

    Batches are (x, y): x float32 (N, in_channels, H, W), normalised; y int64 (N,) or, for segmentation, (N, H, W).
    From construction on: `image_size` (H, W) in pixels, as validation sees it, `in_channels`, `problem`.
    From `setup` on: `class_names`, `num_classes`, `class_colours` (of masks of colours), `ignore_index` (-100: none),
    `test_split`, `sizes`, `dtype`.
    """

    batch_size: int = 128  # images per step and process
    num_workers: int = 0  # reading processes; only sets too large for memory use them
    seed: int = 0  # of the run: order and augmentation
    split_seed: int = 0  # of the validation split, where the set has none, and of `n_train`'s choice
    n_train: int | None = None  # training images, the same share of every class; None: all of them
    sampling: Literal["uniform", "balanced"] = "uniform"  # balanced: classes in equal numbers, images repeated for it
    memory_limit_mb: int = 2048  # decoded images above this are read from disk again every epoch
    cache_dir: str | None = None  # where the decoded set is kept for later runs: a folder, or auto; None: nowhere
    cache_limit_mb: int = 10240  # of that folder; a larger set is not kept
    image_size: Size | None = None  # every image is resized to it; None: as the files are
    fit: Fit | None = (
        None  # how one of another shape is: stretch (None, where there is an `image_size`), crop, letterbox
    )
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # per channel, of values in 0..1 (ImageNet's; grey: GREY_MEAN)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    crop_size: Size | None = None  # pixels of a training crop; None: the image's size
    crop_padding: int = 0  # pixels of black border before the crop
    flip: bool = False  # horizontally, every second image
    scale: tuple[float, float] = (1.0, 1.0)  # range of a random zoom before the crop
    cutout: int = 0  # side in pixels of a square set to the mean; 0: none
    vertical_flip: bool = False  # every second image
    resized_crop: tuple[float, float] | None = None  # share of the area that a crop takes, then resized: [0.08, 1.0]
    crop_ratio: tuple[float, float] = (0.75, 4 / 3)  # of its sides, width ÷ height
    erasing: float = 0.0  # probability of a rectangle set to the mean
    color_jitter: tuple[float, float, float, float] | None = None  # brightness, contrast, saturation, hue
    rand_augment: tuple[int, int] | None = None  # how many operations, and their strength of 0..30: [2, 9]
    trivial_augment: bool = False
    augment: Any = None  # one of the user's own, of an image or of an image and its mask (`per_image`)

    tasks: ClassVar[frozenset[str]] = frozenset({"classification"})
    in_channels: ClassVar[int] = 3  # a set whose images can be read as grey has an option of this name
    resampling: ClassVar[Resampling] = "pillow"  # what images of another size are resized with
    reads_files: ClassVar[bool] = True  # image by image, in `num_workers` processes if it is too large for memory

    def __post_init__(self) -> None:
        super().__init__()
        self.class_names: tuple[str, ...] = ()
        self.class_colours: tuple[Colour, ...] = ()
        self.ignore_index = -100
        self.test_split = "test"
        self.sizes: dict[str, int] = {}
        self._splits: dict[str, Arrays | FileSet] = {}
        for key, least in AT_LEAST.items():
            value = getattr(self, key)
            if type(value) is not int or value < least:
                raise ConfigError(f"data.{key}={value} must be a whole number, at least {least}")
        if self.n_train is not None and (type(self.n_train) is not int or self.n_train < 1):
            raise ConfigError(f"data.n_train={self.n_train} must be a whole number, at least 1, or null for all images")
        if self.sampling not in ("uniform", "balanced"):
            raise ConfigError(f"data.sampling={self.sampling} must be uniform or balanced")
        if self.num_workers and not self.reads_files:
            raise ConfigError(
                f"data.num_workers={self.num_workers} has no effect: this set is held in memory; remove it"
            )
        if self.in_channels == 1:
            self.mean = GREY_MEAN if self.mean == IMAGENET_MEAN else self.mean
            self.std = GREY_STD if self.std == IMAGENET_STD else self.std
        for key, count in {"mean": self.in_channels, "std": self.in_channels, "scale": 2}.items():
            value = getattr(self, key)
            if not isinstance(value, list | tuple) or [type(v) in (int, float) for v in value] != [True] * count:
                raise ConfigError(f"data.{key}={value} must be a list of {count} number{'s' if count > 1 else ''}")
            setattr(self, key, tuple(float(v) for v in value))
        if self.cache_dir == "" or not isinstance(self.cache_dir, str | None):
            raise ConfigError(f"data.cache_dir={self.cache_dir} must be a folder, auto or null")
        keeps = self.cache_dir is not None
        self._cache = Cache(folder_of(self.cache_dir), self.cache_limit_mb) if keeps else None
        if min(self.std) <= 0:
            raise ConfigError(f"data.std={list(self.std)} must be greater than 0")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ConfigError(f"data.scale={list(self.scale)} must be the smallest and the largest zoom, as [0.5, 2.0]")
        if self.fit not in (None, "stretch", "crop", "letterbox"):
            raise ConfigError(f"data.fit={self.fit} must be stretch, crop or letterbox")
        self._resize = self.image_size is not None
        if self.image_size is None:
            self.image_size = self.native_size()
        self.image_size = pair(self.image_size, "image_size")
        if self.fit is not None and not (self._resize and self.reads_files):
            why = "the images have one size" if self.reads_files else "all images of this set have one shape"
            raise ConfigError(
                f"data.fit={self.fit} has no effect: {why}; remove it{', or set data.image_size' * self.reads_files}"
            )
        self._check_crop()
        transforms.check(self)

    def native_size(self) -> tuple[int, int]:
        """(H, W) of the set's images, without reading one."""
        raise ConfigError(
            "data.image_size=null: the images of this set have no size of their own; give one, such as 64"
        )

    def load(self) -> dict[str, Arrays | FileSet]:
        """The splits there are: "train", maybe "val", maybe "test". Sets `class_names`, maybe `ignore_index`."""
        raise NotImplementedError

    def count_classes(self) -> int | None:
        """How many classes there are, where that is known without reading an image; else None."""
        return None

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def problem(self) -> Problem:
        """What a network must know of this set; its classes may be unknown until `setup`."""
        classes = self.num_classes or self.count_classes()
        return Problem(
            in_channels=self.in_channels,
            image_size=self.image_size,
            training_size=self.crop_size or self.image_size,
            batch_size=self.batch_size,
            num_classes=classes or UNKNOWN_CLASSES,
            classes_known=classes is not None,
        )

    def setup(self, stage: str | None = None) -> None:
        """Reads the set, once. A fault of the data is a DataError from here (of a streamed set, from the loader)."""
        if self._splits:
            return
        splits = self.load()
        if self.fit == "letterbox" and self.ignore_index < 0:
            self.ignore_index = LEAVES_OUT  # the border of a mask
        if "val" not in splits:
            chosen = held_out(splits["train"], self.split_seed)
            splits["train"], splits["val"] = without(splits["train"], chosen), splits["train"].subset(chosen)
        if self.n_train is not None and self.n_train != len(splits["train"]):
            splits["train"] = splits["train"].subset(some(splits["train"], self.n_train, self.split_seed))
        self.test_split = "test" if "test" in splits else "val"
        self.sizes = {name: len(splits[name if name in splits else "val"]) for name in ("train", "val", "test")}
        if self.sampling == "balanced":
            require_every_class(splits["train"], self.class_names)
        if self.batch_size > self.sizes["train"]:
            log.warning(
                "data.batch_size=%d is larger than the training set: it is trained in batches of %d, all of its images",
                self.batch_size,
                self.sizes["train"],
            )
            self.batch_size = self.sizes["train"]
        files = {name: split for name, split in splits.items() if isinstance(split, FileSet)}
        decoded = self._decode(files)
        if self.num_workers and files.keys() == decoded.keys():
            where = "the set fits into data.memory_limit_mb" if self._fits else "it is decoded, in data.cache_dir"
            log.warning("data.num_workers=%d has no effect: %s", self.num_workers, where)
        remark(self.class_names, files, decoded)
        if self.mean == GREY_MEAN:
            remark_darkness(decoded)
        self._splits = splits | {name: Arrays.of(made) for name, made in decoded.items()}
        transforms.check_depth(self, self.dtype)

    @property
    def dtype(self) -> torch.dtype | type:
        """Of the images: uint8 or, for one channel of 16 bits, uint16; torch's in memory, else numpy's."""
        train = self._splits["train"]
        return train.images.dtype if isinstance(train, Arrays) else train.dtype

    def class_counts(self) -> list[int]:
        """Images of each class that are trained on; of masks, pixels."""
        return class_counts(self._splits["train"], self.num_classes)

    def cached(self, split: str, key: str, make: Make) -> dict[str, np.ndarray] | None:
        """What `make` makes, from the cache if it has been made before. None: there is no cache, or it cannot be used."""
        return None if self._cache is None else self._cache.fetch(f"{type(self).__name__}-{split}", key, make)

    def _decode(self, files: dict[str, FileSet]) -> dict[str, dict[str, np.ndarray]]:
        """What `FileSet.decode` makes of the splits, of those that fit into memory or into the cache."""
        size = sum(split.nbytes for split in files.values()) / 2**20
        self._fits = size <= self.memory_limit_mb
        if not self._fits and (self._cache is None or size > self.cache_limit_mb):
            return {}
        kept = {name: self.cached(name, split.key(), split.decode) for name, split in files.items()}
        made = {name: files[name].decode() for name, found in kept.items() if found is None and self._fits}
        return {name: found for name, found in (kept | made).items() if found is not None}

    def train_dataloader(self) -> InMemoryLoader | StreamLoader:
        return self._loader("train")

    def val_dataloader(self) -> InMemoryLoader | StreamLoader:
        return self._loader("val")

    def test_dataloader(self) -> InMemoryLoader | StreamLoader:
        return self._loader(self.test_split)

    def augmentation(self) -> Augment:
        return Augment(
            mean=self.mean,
            std=self.std,
            crop_size=self.image_size if self.crop_size is None else self.crop_size,
            crop_padding=self.crop_padding,
            flip=self.flip,
            scale=self.scale,
            cutout=self.cutout,
            vertical_flip=self.vertical_flip,
            resized_crop=self.resized_crop,
            crop_ratio=self.crop_ratio,
            erasing=self.erasing,
            per_image=transforms.per_image(self),
            ignore_index=self.ignore_index,
        )

    def _loader(self, name: str) -> InMemoryLoader | StreamLoader:
        device = self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")
        split, train = self._splits[name], name == "train"
        labels = split.labels.cpu() if train and self.sampling == "balanced" else None
        batch_size = min(self.batch_size, max(len(split) // world()[1], 1)) if train else self.batch_size
        if isinstance(split, Arrays):
            if self._fits:
                self._splits[name] = split = split.to(device)
            how = {"train": train, "seed": self.seed, "labels": labels, "device": device}
            loader = InMemoryLoader(split, self.augmentation(), batch_size, **how)
        else:
            loader = StreamLoader(
                split,
                self.augmentation(),
                self.image_size,
                batch_size,
                train=train,
                seed=self.seed,
                labels=labels,
                num_workers=self.num_workers,
                persistent=type(split) is FileSet,  # another may draw at random
                device=device,
            )
        if train and not len(loader):
            raise ConfigError(
                f"trainer.devices={world()[1]} processes are more than the training set has images ({len(split)}); use fewer"
            )
        return loader

    def _check_crop(self) -> None:
        height, width = self.image_size
        if self.crop_size is not None:
            self.crop_size = pair(self.crop_size, "crop_size")
            if self.crop_size[0] > height or self.crop_size[1] > width:
                raise ConfigError(
                    f"data.crop_size={show(self.crop_size)} is larger than the images ({show(self.image_size)}); "
                    f"use data.crop_size=[{height},{width}] or less"
                )
        smallest = min(self.crop_size or self.image_size)
        for key in ("crop_padding", "cutout"):
            if getattr(self, key) >= smallest:
                raise ConfigError(
                    f"data.{key}={getattr(self, key)} leaves nothing of a crop of "
                    f"{show(self.crop_size or self.image_size)}; use less than {smallest}"
                )
