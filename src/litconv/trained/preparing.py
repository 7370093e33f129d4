"""A new image on its way to the network, as an image of the test split goes: read, brought to size, normalised."""

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from litconv.data.augment import Augment
from litconv.data.files import as_read, read_image
from litconv.data.fitting import pixels_of
from litconv.errors import DataError
from litconv.run.card import Card

Source = str | PathLike[str] | Image.Image | np.ndarray  # a file, or uint8 (H, W) or (H, W, 3)


@dataclass(frozen=True)
class Preparing:
    card: Card

    def image(self, source: Source) -> Image.Image:
        """Upright, in its own size, in the network's colours."""
        card = self.card
        if isinstance(source, np.ndarray):
            source = picture(source)
        if isinstance(source, Image.Image):
            return as_read(name_of(source), source, card.in_channels, card.dtype)
        return read_image(str(Path(source)), card.in_channels, card.dtype)

    def pixels(self, image: Image.Image) -> Tensor:
        """uint8 or uint16 (C, H, W) of the network's size."""
        made = pixels_of(image, self.card.image_size, self.card.fit, self.card.resampling)
        return torch.from_numpy(made.transpose(2, 0, 1).copy())

    def normalised(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) → float32."""
        return self.augment.normalise(pixels, torch.iinfo(pixels.dtype).max)

    @cached_property
    def augment(self) -> Augment:
        return Augment(mean=self.card.mean, std=self.card.std, crop_size=self.card.image_size)


def picture(array: np.ndarray) -> Image.Image:
    """Any other array has a meaning that its values do not tell: 0 to 1 or to 255, channels first or last."""
    shape, colours = array.shape, array.ndim == 3 and array.shape[2] in (3, 4)
    kinds = (np.uint8,) if colours else (np.uint8, np.uint16)
    if array.dtype not in kinds or not (array.ndim == 2 or colours) or 0 in shape:
        raise DataError(
            f"an array of {array.dtype} {shape} is no image; give uint8 (height, width, 3) or (height, width), "
            "of 16-bit grey uint16 (height, width), several images as a list"
        )
    return Image.fromarray(array)


def name_of(source: Source) -> str:
    """What messages and predictions call it."""
    if isinstance(source, np.ndarray):
        return "the image"
    return getattr(source, "filename", "") or "the image" if isinstance(source, Image.Image) else str(Path(source))
