"""Batched augmentation: random zoom or resized crop, padded crop, flips, cutout, erasing, normalisation, each a few tensor
operations; colours, policies and transforms of the user's own image by image (`per_image`). What is random is drawn in `draws`.

Cutout: DeVries & Taylor 2017, https://arxiv.org/abs/1708.04552. Resized crop: Szegedy et al. 2014,
https://arxiv.org/abs/1409.4842. Erasing: Zhong et al. 2017, https://arxiv.org/abs/1708.04896
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from litconv.data import fused, rectangles
from litconv.data.draws import Draws


@lru_cache(maxsize=16)
def _affine(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device, most: int = 255
) -> tuple[Tensor, Tensor]:
    """(1 / (most · std), mean / std), kept on the device: making them anew in every step would wait for it."""
    means, stds = (torch.tensor(values)[:, None, None] for values in (mean, std))
    return (1 / (most * stds)).to(device), (means / stds).to(device)


MOVES = {  # draws of what moves pixels
    *("top", "left", "scale", "flip", "flip_y"),
    *("crop_top", "crop_left", "crop_height", "crop_width"),
}


@dataclass(frozen=True, kw_only=True)
class Augment(Draws):
    """Turns a batch of uint8 or uint16 images into what the model sees. Sizes are in pixels, (height, width).

    `mean`, `std`: per channel, of values in 0..1. Masks follow their images (nearest); where an image is padded its mask is
    `ignore_index`.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    ignore_index: int = -100

    def __call__(
        self, images: Tensor, targets: Tensor, draws: dict[str, Tensor], index: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """uint8 or uint16 (N, C, H, W), labels (N,) or masks (N, H, W) → float32 (N, C, h, w), int64. No draws: normalised.

        With `index` those of a whole set. On a CPU with a C++ compiler one pass makes the batch of 8-bit images, else
        several, to the same bits.
        """
        if "seed" in draws:
            x, y = self._moved()(images, targets, {k: v for k, v in draws.items() if k in MOVES}, index)
            x, y = self.per_image(x.round_().byte(), y, draws["seed"])
            x = self.normalise(x)
        elif fused.takes(images, targets):
            x, y = self._in_one_pass(images, targets, draws, index)
        else:
            chosen = slice(None) if index is None else index
            x, y = self.in_several_passes(_taken(images, chosen), targets[chosen], draws)
        if "cut_y" in draws:
            rows = self._band(draws["cut_y"], x.shape[-2])  # (N, h)
            columns = self._band(draws["cut_x"], x.shape[-1])  # (N, w)
            x = x.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
        if "erase_top" in draws:
            rows = rectangles.inside(draws["erase_top"], draws["erase_height"], x.shape[-2])
            columns = rectangles.inside(draws["erase_left"], draws["erase_width"], x.shape[-1])
            x = x.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
        return x, y

    def _moved(self) -> "Augment":
        """The same without what comes behind crop and flips, its values as they are in the files, 0..255."""
        return replace(self, mean=(0.0,) * len(self.mean), std=(1 / 255,) * len(self.std), per_image=None)

    def _in_one_pass(
        self, images: Tensor, targets: Tensor, draws: dict[str, Tensor], index: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        count, size = len(images if index is None else index), tuple(images.shape[-2:])
        rows, columns = self._sources(draws, count, size, images.device)
        return fused.batch(
            images, targets, index, rows, columns, _affine(self.mean, self.std, images.device), self.ignore_index
        )

    def in_several_passes(self, images: Tensor, targets: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Without cutout."""
        most = torch.iinfo(images.dtype).max
        images = images if images.dtype == torch.uint8 else images.float()  # few operations take uint16
        targets = targets.long()
        dense = targets.ndim == 3
        if "scale" in draws or "crop_top" in draws:
            images, masks = self._zoom(images, targets if dense else None, draws)
            return self.normalise(images, most), masks if dense else targets
        if "top" in draws or "left" in draws:
            zero = torch.zeros(len(images), dtype=torch.long, device=images.device)
            top, left = draws.get("top", zero), draws.get("left", zero)
            images = self._crop(images, top, left, 0)
            if dense:
                targets = self._crop(targets[:, None], top, left, self.ignore_index)[:, 0]
        if "flip" in draws:
            flip = draws["flip"]
            images = torch.where(flip[:, None, None, None], images.flip(-1), images)
            if dense:
                targets = torch.where(flip[:, None, None], targets.flip(-1), targets)
        if "flip_y" in draws:
            flip = draws["flip_y"]
            images = torch.where(flip[:, None, None, None], images.flip(-2), images)
            if dense:
                targets = torch.where(flip[:, None, None], targets.flip(-2), targets)
        return self.normalise(images, most), targets

    def normalise(self, images: Tensor, most: int = 255) -> Tensor:
        """0..most → (value / most − mean) / std."""
        scale, shift = _affine(self.mean, self.std, images.device, most)
        return images.float().mul(scale).sub_(shift)

    def _crop(self, x: Tensor, top: Tensor, left: Tensor, fill: int) -> Tensor:
        """One window of `crop_size` per image, its corner at (top, left), after padding by `fill`."""
        height, width = self.crop_size
        pad = self.crop_padding
        x = F.pad(x, (pad, pad, pad, pad), value=fill) if pad else x
        windows = x.unfold(2, height, 1).unfold(3, width, 1)  # (N, C, tops, lefts, h, w), a view
        return windows[torch.arange(len(x), device=x.device), :, top + pad, left + pad]

    def _sources(
        self, draws: dict[str, Tensor], count: int, image_size: tuple[int, int], device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Where each output row and column lies in its image, in pixels, its edge at 0: float32 (N, h), (N, w)."""
        sources = []
        # without draws, as in evaluation, the whole image
        edges = (("top", "height"), ("left", "width"))
        for (name, side), length in zip(edges, self.crop_size if draws else image_size, strict=True):
            source = (torch.arange(length, device=device) + 0.5).expand(count, length)
            if f"crop_{name}" in draws:
                step = draws[f"crop_{side}"].float() / length  # pixels of the crop in one of the result
                sources.append(source * step[:, None] + draws[f"crop_{name}"][:, None])
                continue
            source = source + draws[name][:, None] if name in draws else source
            sources.append(source / draws["scale"][:, None] if "scale" in draws else source)
        rows, columns = sources
        if "flip" in draws:
            columns = torch.where(draws["flip"][:, None], columns.flip(-1), columns)
        if "flip_y" in draws:
            rows = torch.where(draws["flip_y"][:, None], rows.flip(-1), rows)
        return rows, columns

    def _zoom(self, images: Tensor, masks: Tensor | None, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Zoom or resized crop, crop and flips in one resampling, rows then columns: bilinear for images, nearest for masks."""
        count, channels, height, width = images.shape
        rows, columns = self._sources(draws, count, (height, width), images.device)
        low, high, weight = (part.repeat_interleave(channels, 0) for part in _neighbours(rows, height))  # (N·C, h)
        planes, plane = images.flatten(0, 1), torch.arange(count * channels, device=images.device)[:, None]
        x = _between(planes[plane, low].float(), planes[plane, high].float(), weight[:, :, None])  # (N·C, h, W)
        low, high, weight = _neighbours(columns, width)  # (N, w)
        x = x.view(count, channels, -1, width)
        shape = (*x.shape[:3], columns.shape[1])
        left, right = (x.gather(3, part[:, None, None].expand(shape)) for part in (low, high))
        x = _between(left, right, weight[:, None, None])
        inside = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
        outside = ~(inside[0][:, :, None] & inside[1][:, None])  # (N, h, w)
        x = x.masked_fill_(outside[:, None], 0.0)
        if masks is None:
            return x, None
        nearest = rows.floor().long().clamp(0, height - 1), columns.floor().long().clamp(0, width - 1)
        index = torch.arange(count, device=masks.device)[:, None, None]
        return x, masks[index, nearest[0][:, :, None], nearest[1][:, None]].masked_fill_(outside, self.ignore_index)

    def _band(self, centre: Tensor, length: int) -> Tensor:
        """True within `cutout` pixels around each centre: (N, length)."""
        distance = torch.arange(length, device=centre.device) - (centre[:, None] - self.cutout // 2)
        return (distance >= 0) & (distance < self.cutout)


def _taken(images: Tensor, chosen: Tensor | slice) -> Tensor:
    """uint16 by way of int16: not every device gathers the former."""
    deep = images.dtype == torch.uint16
    return images.view(torch.int16)[chosen].view(torch.uint16) if deep else images[chosen]


def _neighbours(source: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixels on both sides of each place, and the weight of the second."""
    position = (source - 0.5).clamp(0, length - 1)
    low = position.floor()
    return low.long(), (low.long() + 1).clamp(max=length - 1), position - low


def _between(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """a + weight · (b − a), each operation rounded by itself."""
    return b.sub_(a).mul_(weight).add_(a)
