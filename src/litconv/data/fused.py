"""A batch in one pass on the CPU: `augment.cpp`, compiled at its first use. Without a compiler `augment.py` takes several."""

import ctypes
import logging
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from litconv.native import BuildError, library_of

log = logging.getLogger(__name__)
SOURCE = Path(__file__).with_name("augment.cpp")
EXACT = ("-ffp-contract=off",)  # or a product and a sum would be rounded once, other than elsewhere


class Batch(ctypes.Structure):
    """Field by field as in the source."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in ("images", "channels", "height", "width", "out_height", "out_width", "ignore_index")
    )


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(library_of(SOURCE, EXACT)))
    except (BuildError, OSError) as error:
        log.info("batches are made in several passes instead of one (%s): the same, slower", error)
        return None
    library.augment.argtypes = [ctypes.POINTER(Batch), *[ctypes.c_void_p] * 9]
    library.augment.restype = None
    return library


def prepare() -> None:
    """Compile it now, not in the first step."""
    _library()


def takes(images: Tensor, targets: Tensor) -> bool:
    """Whether there is a kernel for these."""
    parts = [images, targets] if targets.ndim == 3 else [images]
    fit = all(part.device.type == "cpu" and part.dtype == torch.uint8 and part.is_contiguous() for part in parts)
    return fit and _library() is not None


def batch(
    images: Tensor,
    targets: Tensor,
    index: Tensor | None,
    rows: Tensor,
    columns: Tensor,
    affine: tuple[Tensor, Tensor],
    ignore_index: int,
) -> tuple[Tensor, Tensor]:
    """See `augment.cpp`: images (M, C, H, W), index (N,), rows (N, h), columns (N, w) → (N, C, h, w), int64."""
    (count, height), width = rows.shape, columns.shape[1]
    dense = targets.ndim == 3
    x = torch.empty((count, images.shape[1], height, width))
    y = torch.empty((count, height, width), dtype=torch.long) if dense else None
    inputs = (images, targets if dense else None, index, rows.contiguous(), columns.contiguous(), *affine)
    problem = Batch(count, *images.shape[1:], height, width, ignore_index)
    pointers = (None if part is None else part.data_ptr() for part in (*inputs, x, y))
    _library().augment(ctypes.byref(problem), *pointers)
    return x, y if dense else (targets if index is None else targets[index]).long()
