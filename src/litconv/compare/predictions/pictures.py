"""Images and masks as data: URIs of PNGs."""

import base64
import io
from collections.abc import Sequence

import numpy as np

LARGEST = 640  # pixels of a side: the page carries every picture in itself


def images(x: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> list[str]:
    """(N, C, H, W), normalised"""
    pixels = x.transpose(0, 2, 3, 1) * np.array(std) + np.array(mean)  # (N, H, W, C)
    pixels = np.broadcast_to(pixels, (*pixels.shape[:3], 3))  # grey ones, too
    return [png((one.clip(0, 1) * 255).round().astype(np.uint8)) for one in pixels]


def mask(classes: np.ndarray, palette: np.ndarray, ignored: int, background: int | None) -> str:
    """(H, W); what is ignored is white, what is `background` lets the image through."""
    painted = np.full((*classes.shape, 4), 255, np.uint8)
    painted[..., :3] = palette[classes.clip(0, len(palette) - 1)]
    painted[classes == ignored, :3] = 255
    painted[classes == background, 3] = 0
    return png(painted)


def png(pixels: np.ndarray) -> str:
    from PIL import Image

    file, image = io.BytesIO(), Image.fromarray(pixels)
    if max(image.size) > LARGEST:
        scale = LARGEST / max(image.size)
        kind = Image.Resampling.NEAREST if pixels.shape[-1] == 4 else Image.Resampling.BILINEAR  # masks have an alpha
        image = image.resize(tuple(max(1, round(side * scale)) for side in image.size), kind)
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
