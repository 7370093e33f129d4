"""The options that every data set has, and what can be said of them without an image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from litconv.data.fitting import Fit, Resampling
from litconv.data.sizes import Size, pair, show
from litconv.errors import ConfigError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY_MEAN, GREY_STD = (0.449,), (0.226,)  # of one channel: the means of the three
AT_LEAST = {
    "batch_size": 1,
    **dict.fromkeys(("num_workers", "memory_limit_mb", "cache_limit_mb", "crop_padding", "cutout"), 0),
}


@dataclass(kw_only=True, eq=False, repr=False)
class DataOptions:
    """Once made, `image_size` is (H, W) in pixels, as validation sees it."""

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
        require_whole(self, AT_LEAST)
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

    def native_size(self) -> tuple[int, int]:
        """(H, W) of the set's images, without reading one."""
        raise ConfigError(
            "data.image_size=null: the images of this set have no size of their own; give one, such as 64"
        )

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


def require_whole(data: DataOptions, at_least: Mapping[str, int]) -> None:
    """Options that are whole numbers, and the least that each may be."""
    for key, least in at_least.items():
        value = getattr(data, key)
        if type(value) is not int or value < least:
            raise ConfigError(f"data.{key}={value} must be a whole number, at least {least}")
