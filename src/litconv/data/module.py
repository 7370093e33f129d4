"""The base of all data sets: a subclass says what it holds (`load`), this makes splits and batches of it."""

import logging

import numpy as np
import pytorch_lightning as pl
import torch

from litconv.data import transforms
from litconv.data.augment import Augment
from litconv.data.cache import Cache, Make, folder_of
from litconv.data.class_list import Colour
from litconv.data.counts import class_counts, require_every_class
from litconv.data.draws import private_generator
from litconv.data.epoch import world
from litconv.data.file_set import FileSet
from litconv.data.fitting import LEAVES_OUT
from litconv.data.loader import CPU, Arrays, InMemoryLoader, StreamLoader
from litconv.data.options import GREY_MEAN, DataOptions
from litconv.data.problem import UNKNOWN_CLASSES, Problem
from litconv.data.remarks import remark, remark_darkness
from litconv.data.subsets import held_out, some, without
from litconv.errors import ConfigError

log = logging.getLogger(__name__)


class DataModule(DataOptions, pl.LightningDataModule):
    """Splits and batches of one data set. A subclass redeclares the fields whose defaults it changes, defines `load`.

    Batches are (x, y): x float32 (N, in_channels, H, W), normalised; y int64 (N,) or, for segmentation, (N, H, W).
    From construction on: `image_size` (H, W) in pixels, as validation sees it, `in_channels`, `problem`.
    From `setup` on: `class_names`, `num_classes`, `class_colours` (of masks of colours), `ignore_index` (-100: none),
    `test_split`, `sizes`, `dtype`.
    """

    def __post_init__(self) -> None:
        pl.LightningDataModule.__init__(self)  # `super()`'s is that of the options, which calls this
        self.class_names: tuple[str, ...] = ()
        self.class_colours: tuple[Colour, ...] = ()
        self.ignore_index = -100
        self.test_split = "test"
        self.sizes: dict[str, int] = {}
        self._splits: dict[str, Arrays | FileSet] = {}
        super().__post_init__()
        transforms.check(self)
        keeps = self.cache_dir is not None
        self._cache = Cache(folder_of(self.cache_dir), self.cache_limit_mb) if keeps else None

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

    def training_images(self, count: int) -> torch.Tensor:
        """So many of the training split, or all there are, chosen by `split_seed` alone: float32 (N, C, H, W), as a network gets
        an image of the test split, without augmentation."""
        split = self._splits["train"]
        order = torch.randperm(len(split), generator=private_generator(self.split_seed, "training_images"))
        chosen = split.subset(order[:count].sort().values)
        if isinstance(chosen, Arrays):
            loader = InMemoryLoader(chosen.to(CPU), self.augmentation(), self.batch_size, train=False)
        else:
            loader = StreamLoader(chosen, self.augmentation(), self.image_size, self.batch_size, train=False)
        return torch.cat([images for images, _ in loader])

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
