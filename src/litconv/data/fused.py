"""A batch in one pass on the CPU: `augment.cpp`, compiled in the background of the first batches.

Until it is there, and where there is no compiler, `augment.py` takes several passes, to the same bits. Data on a GPU are
augmented there, and nothing is compiled.
"""

import ctypes
import logging
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from litconv.native import BuildError, Compilation

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
def _compilation() -> Compilation:
    """Begun by the first batch."""
    return Compilation(SOURCE, EXACT, usual_seconds=1)


@cache
def _library() -> ctypes.CDLL | None:
    """Waits for it."""
    try:
        _compilation().wait()
        library = ctypes.CDLL(str(_compilation().library))
    except (BuildError, OSError) as error:
        log.info("batches are made in several passes instead of one (%s): the same, slower", error)
        return None
    library.augment.argtypes = [ctypes.POINTER(Batch), *[ctypes.c_void_p] * 9]
    library.augment.restype = None
    return library


@cache
def _say_that_it_is_compiled() -> None:
    log.info(
        "compiling the C++ kernel %s in the background, once for this machine: about %d s, in which batches are made in "
        "several passes instead of one: the same, slower",
        SOURCE.name,
        _compilation().expected_seconds(),
    )


def _has_ended() -> bool:
    try:
        ended = _compilation().is_done()
    except BuildError:
        return True
    if not ended:
        _say_that_it_is_compiled()
    return ended


def wait() -> bool:
    """Whether there is a kernel, once it is compiled: for what measures or compares it."""
    return _library() is not None


def takes(images: Tensor, targets: Tensor) -> bool:
    """Whether there is a kernel for these. The first ones have it compiled."""
    parts = [images, targets] if targets.ndim == 3 else [images]
    fit = all(part.device.type == "cpu" and part.dtype == torch.uint8 and part.is_contiguous() for part in parts)
    return fit and (_library.cache_info().currsize > 0 or _has_ended()) and wait()


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
