"""The options of a data set that augment it beyond crop and flip: whether they can be, and what they are made of."""

from typing import Any, Protocol

import numpy as np
import torch

from litconv.data.per_image import PerImage
from litconv.errors import ConfigError


class Options(Protocol):
    """Those of a DataModule that are read here."""

    scale: tuple[float, float]
    resized_crop: tuple[float, float] | None
    crop_ratio: tuple[float, float]
    erasing: float
    color_jitter: tuple[float, float, float, float] | None
    rand_augment: tuple[int, int] | None
    trivial_augment: bool
    augment: Any
    ignore_index: int


def check(data: Options) -> None:
    """What can be said without an image. Lists become tuples."""
    for key, count in {"resized_crop": 2, "crop_ratio": 2, "color_jitter": 4, "rand_augment": 2}.items():
        setattr(data, key, numbers(key, getattr(data, key), count))
    area, ratio = data.resized_crop, data.crop_ratio
    if area is not None and not 0 < area[0] <= area[1] <= 1:
        raise ConfigError(
            f"data.resized_crop={list(area)} must be the least and the largest share of the area, as [0.08,1.0]"
        )
    if not 0 < ratio[0] <= ratio[1]:
        raise ConfigError(
            f"data.crop_ratio={list(ratio)} must be the least and the largest width ÷ height, as [0.75,1.333]"
        )
    if area is not None and data.scale != (1.0, 1.0):
        raise ConfigError(
            f"data.resized_crop={list(area)} and data.scale={list(data.scale)} both zoom; leave one out (data.scale=[1,1])"
        )
    if type(data.erasing) not in (int, float) or not 0 <= data.erasing <= 1:
        raise ConfigError(f"data.erasing={data.erasing} must be a probability, between 0 and 1")
    if data.rand_augment is not None and data.trivial_augment:
        raise ConfigError(
            f"data.rand_augment={list(data.rand_augment)} and data.trivial_augment=true: choose one policy"
        )
    if data.augment is not None and not callable(data.augment):
        raise ConfigError(
            f"data.augment={data.augment} must be a class: write +data.augment._target_=package.module.Class"
        )
    per_image(data)


def numbers(key: str, value: Any, count: int) -> tuple[float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or [type(number) in (int, float) for number in value] != [True] * count:
        raise ConfigError(f"data.{key}={value} must be a list of {count} numbers, or null")
    return tuple(value)


def per_image(data: Options) -> PerImage | None:
    """In the order in which they come: colours, policy, the user's own."""
    made = []
    if data.color_jitter is not None:
        from torchvision.transforms import v2  # here and below: half a second that most runs need not spend

        try:
            made.append(v2.ColorJitter(*data.color_jitter))
        except ValueError as error:
            raise ConfigError(
                f"data.color_jitter={list(data.color_jitter)} must be brightness, contrast, saturation and hue, at least 0, the "
                f"last at most 0.5, such as [0.4,0.4,0.4,0.1] ({error})"
            ) from error
    if data.rand_augment is not None or data.trivial_augment:
        from litconv.data.policies import RandAugment, TrivialAugment
    if data.rand_augment is not None:
        made.append(RandAugment(*data.rand_augment, ignore_index=data.ignore_index))
    if data.trivial_augment:
        made.append(TrivialAugment(ignore_index=data.ignore_index))
    if data.augment is not None:
        made.append(data.augment)
    return PerImage(made) if made else None


def check_depth(data: Options, images: torch.dtype | type) -> None:
    """They work on 8 bits; `images` is the type of the set's own."""
    if images in (torch.uint16, np.uint16) and per_image(data) is not None:
        raise ConfigError(
            "data.color_jitter, rand_augment, trivial_augment and augment work on 8 bits, and the images of train have 16; "
            "leave them out, or save the images with 8"
        )
