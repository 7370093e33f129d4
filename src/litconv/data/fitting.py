"""How an image of any shape is brought to the size of its set, and its mask with it.

stretch: its sides to those of the size, each by itself. crop: its middle of the size's shape. letterbox: the whole image, and
a black border, whose mask is left out.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from litconv.data.sizes import show

Fit = Literal["stretch", "crop", "letterbox"]
Resampling = Literal["pillow", "torch"]  # whose bilinear filter: of files Pillow's, of arrays of one size torch's
Size = tuple[int, int]  # (height, width)
MOST, STEP = 224, 32  # pixels: the default size of photos of unlike sizes, and what it is a multiple of
LEAVES_OUT = 255  # in masks, where a set leaves out nothing else


def pixels_of(image: Image.Image, size: Size, fit: Fit, resampling: Resampling = "pillow") -> np.ndarray:
    """(H, W, channels) of this size, whatever the image's own is."""
    if (image.height, image.width) == size:
        pixels = np.asarray(image)
    elif resampling == "torch":
        own = torch.from_numpy(np.asarray(image).reshape(image.height, image.width, -1).copy())
        pixels = interpolated(own.permute(2, 0, 1)[None], size)[0].permute(1, 2, 0).numpy()
    else:
        pixels = fitted(image, size, fit)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def interpolated(images: Tensor, size: Size) -> Tensor:
    """uint8 (N, C, H, W), each stretched to the size."""
    return F.interpolate(images.float(), size, mode="bilinear", antialias=True).round().byte()


def fitted(image: Image.Image, size: Size, fit: Fit) -> np.ndarray:
    """(H, W) or (H, W, channels), bilinear; 16 bits by way of floats, which PIL does resize."""
    place, box = placed((image.height, image.width), size, fit)
    inner = size_of(place)[::-1]
    if image.mode in ("RGB", "L"):
        pixels = np.asarray(image.resize(inner, Image.Resampling.BILINEAR, box))
    else:
        floats = Image.fromarray(np.asarray(image).astype(np.float32))
        pixels = np.asarray(floats.resize(inner, Image.Resampling.BILINEAR, box)).round().astype(np.uint16)
    return bordered(pixels, size, place, 0)


def fitted_mask(mask: np.ndarray, size: Size, fit: Fit, ignore_index: int) -> np.ndarray:
    """uint8 (H, W), nearest; a border is left out of loss and metrics."""
    place, box = placed(mask.shape, size, fit)
    ids = np.asarray(Image.fromarray(mask).resize(size_of(place)[::-1], Image.Resampling.NEAREST, box))
    return bordered(ids, size, place, ignore_index if ignore_index >= 0 else LEAVES_OUT)


def unfitted_mask(mask: np.ndarray, shape: Size, fit: Fit, unsaid: int) -> np.ndarray:
    """The way back: a mask of a set's size over the whole of an image of this shape, `unsaid` where a crop cut it off."""
    (rows, columns), box = placed(shape, mask.shape, fit)
    left, top, right, bottom = (round(edge) for edge in box)
    inside = Image.fromarray(mask[rows, columns]).resize((right - left, bottom - top), Image.Resampling.NEAREST)
    return bordered(np.asarray(inside), shape, (slice(top, bottom), slice(left, right)), unsaid)


def placed(shape: Size, size: Size, fit: Fit) -> tuple[tuple[slice, slice], tuple[float, float, float, float]]:
    """Where in the result the image comes to lie, and which part of it: left, top, right, bottom."""
    whole = slice(0, size[0]), slice(0, size[1])
    (height, width), (rows, columns) = shape, size
    if fit == "crop":
        scale = max(rows / height, columns / width)
        top, left = (
            max((height - rows / scale) / 2, 0.0),
            max((width - columns / scale) / 2, 0.0),
        )  # rounding may pass 0
        return whole, (left, top, width - left, height - top)
    if fit == "letterbox":
        scale = min(rows / height, columns / width)
        inner = max(round(height * scale), 1), max(round(width * scale), 1)
        top, left = ((full - part) // 2 for full, part in zip(size, inner, strict=True))
        whole = slice(top, top + inner[0]), slice(left, left + inner[1])
    return whole, (0, 0, width, height)


def size_of(place: tuple[slice, slice]) -> Size:
    return place[0].stop - place[0].start, place[1].stop - place[1].start


def bordered(pixels: np.ndarray, size: Size, place: tuple[slice, slice], fill: int) -> np.ndarray:
    if pixels.shape[:2] == size:
        return pixels
    whole = np.full((*size, *pixels.shape[2:]), fill, pixels.dtype)
    whole[place] = pixels
    return whole


def default_size(sizes: Sequence[Size]) -> Size:
    """Of photos of unlike sizes: square, near the median of their shorter sides."""
    shorter = sorted(map(min, sizes))[len(sizes) // 2]
    side = max(round(min(MOST, shorter) / STEP) * STEP, STEP)
    return side, side


def said(sizes: Sequence[Size], size: Size, fit: Fit) -> str:
    """What is done with photos of these sizes."""
    kinds = Counter(sizes)
    least, most = (pick(kinds, key=lambda shape: shape[0] * shape[1]) for pick in (min, max))
    done = {
        "stretch": f"each is resized to {show(size)}, its aspect ratio not kept",
        "crop": f"each is resized and its middle of {show(size)} kept",
        "letterbox": f"each is resized to lie in {show(size)} whole, with a black border",
    }[fit]
    others = {"stretch": "distorts", "crop": "keeps the middle", "letterbox": "keeps the whole photo"}
    more = ", ".join(f"data.fit={other} {what}" for other, what in others.items() if other != fit)
    span = f"images of {len(kinds)} sizes, from {show(least)} to {show(most)}"
    return f"{span}: {done} (data.image_size= sets another size; {more})"
