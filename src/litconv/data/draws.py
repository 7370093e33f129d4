"""What is random in an augmentation.

It is drawn for a whole epoch at once, on the CPU, from private generators seeded by (seed, epoch, name of the draw). So the
draws are equal on every device, for every model, for one process or several, in memory or streaming, and switching one
augmentation on leaves the draws of the others as they were.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from litconv.data import rectangles
from litconv.data.per_image import PerImage


def private_generator(*key: int | str) -> torch.Generator:
    """A CPU generator of its own for this key; the global one is neither read nor moved."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Sizes are in pixels, (height, width).

    `crop_size`: after the crop. `crop_padding`: black border on all sides before the crop. `scale`: range of a random zoom,
    per image. `resized_crop`: range of the share of the area (with its border) that a crop takes, its sides' ratio in
    `crop_ratio`, which is then resized. `cutout`: side of one square set to the mean. `erasing`: the probability of a
    rectangle set to it.
    """

    crop_size: tuple[int, int]
    crop_padding: int = 0
    flip: bool = False
    scale: tuple[float, float] = (1.0, 1.0)
    cutout: int = 0
    vertical_flip: bool = False
    resized_crop: tuple[float, float] | None = None
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    erasing: float = 0.0
    per_image: PerImage | None = None  # on 8-bit images, behind crop and flips

    def draw(self, count: int, image_size: tuple[int, int], seed: int, epoch: int) -> dict[str, Tensor]:
        """Everything random of one epoch of `count` images: tensors (count,), on the CPU."""

        def several(name: str, values: int) -> Tensor:
            generator = private_generator(seed, epoch, name)
            return torch.rand(count, values, generator=generator, dtype=torch.float64)

        def uniform(name: str) -> Tensor:
            return several(name, 1)[:, 0]

        if self.resized_crop is not None:
            pad = self.crop_padding
            padded = image_size[0] + 2 * pad, image_size[1] + 2 * pad
            top, left, height, width = rectangles.crops(padded, self.resized_crop, self.crop_ratio, several)
            draws = {"crop_top": top - pad, "crop_left": left - pad, "crop_height": height, "crop_width": width}
        else:
            draws = self._draw_crop(count, image_size, uniform)
        if self.flip:
            draws["flip"] = uniform("flip") < 0.5
        if self.vertical_flip:
            draws["flip_y"] = uniform("flip_y") < 0.5
        if self.cutout:
            draws["cut_y"] = (uniform("cut_y") * self.crop_size[0]).long()
            draws["cut_x"] = (uniform("cut_x") * self.crop_size[1]).long()
        if self.erasing:
            names = ("erase_top", "erase_left", "erase_height", "erase_width")
            draws |= zip(names, rectangles.erasures(self.crop_size, self.erasing, several), strict=True)
        if self.per_image is not None:
            draws["seed"] = torch.randint(2**32, (count,), generator=private_generator(seed, epoch, "per_image"))
        return draws

    def _draw_crop(
        self, count: int, image_size: tuple[int, int], uniform: Callable[[str], Tensor]
    ) -> dict[str, Tensor]:
        draws: dict[str, Tensor] = {}
        zoom = torch.ones(count, dtype=torch.float64)
        if self.scale != (1.0, 1.0):
            zoom = self.scale[0] + (self.scale[1] - self.scale[0]) * uniform("scale")
            draws["scale"] = zoom.float()
        for name, length, crop in zip(("top", "left"), image_size, self.crop_size, strict=True):
            # The crop's offset in the zoomed and padded image; negative where that is smaller than the crop.
            room = (zoom * length).round() + 2 * self.crop_padding - crop
            if room.any():
                low, high = room.clamp(max=0), room.clamp(min=0)
                offset = (low + uniform(name) * (high - low + 1)).floor().minimum(high).long()
                draws[name] = offset - self.crop_padding
        return draws
