"""The C++ kernel for CPUs, `deform.cpp`, compiled at its first use."""

import ctypes
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from litconv.conv.deform_kernels.geometry import Geometry
from litconv.native import BuildError, library_of

IMAGES, SAMPLES = torch.channels_last, torch.preserve_format  # the latter are read by their strides
HALVES = ()
SOURCE = Path(__file__).with_name("deform.cpp")
STRIP = 64  # as in the source
BLOCK_CHANNELS = 256  # at most
TILE_VALUES = 2**17  # columns of one tile and block: they stay in a core's cache
LONG_TILE_VALUES = 2**19  # of blocks of more than 128 channels: nearly all is matrix product, which wants more pixels
UNITS = 32  # into which backward is cut, whatever the number of threads, so that this does not change a bit
SLAB_VALUES = 2**22  # of the weight's gradient in all slabs


class Problem(ctypes.Structure):
    """Field by field as in the source."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("images", "height", "width", "channels")),
        *((name, ctypes.c_int64) for name in ("out_height", "out_width", "out_channels")),
        *((name, ctypes.c_int64) for name in ("kernel_height", "kernel_width")),
        *((name, ctypes.c_int64 * 2) for name in ("stride", "padding", "dilation")),
        *((name, ctypes.c_int64) for name in ("groups", "offset_groups")),
        *((name, ctypes.c_int64 * 4) for name in ("offset_strides", "mask_strides")),
        *((name, ctypes.c_int64) for name in ("block", "tile", "slabs", "parts", "scratch")),
    )


@cache
def _loaded() -> tuple[ctypes.CDLL | None, str]:
    try:
        library = ctypes.CDLL(str(library_of(SOURCE)))
    except (BuildError, OSError) as error:
        return None, str(error)
    for dtype in ("float32", "float64"):
        for name, tensors in (("forward", 6), ("backward", 10)):
            function = getattr(library, f"{name}_{dtype}")
            function.argtypes = [ctypes.POINTER(Problem), *[ctypes.c_void_p] * tensors]
            function.restype = ctypes.c_char_p
    return library, ""


def why_not() -> str:
    """Why there is no kernel on this machine; empty where there is one. The first call compiles."""
    return _loaded()[1]


def forward(x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> Tensor:
    problem = _problem(x, weight, offset, mask, geometry)
    out = x.new_empty((x.shape[0], *offset.shape[2:], weight.shape[0]))
    scratch = _scratch(problem, x, buffers=1)
    _call("forward", problem, _nhwc(x), _packed(weight, problem), offset, mask, out, scratch)
    return out.permute(0, 3, 1, 2)


def backward(
    grad: Tensor, x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry
) -> Sequence[Tensor]:
    problem = _problem(x, weight, offset, mask, geometry)
    n, channels, height, width = x.shape
    parts = problem.parts
    grad_x = x.new_zeros((n, height, width, channels))
    grad_weight = x.new_empty((problem.slabs, weight.numel()))
    samples = [
        None if t is None else t.new_zeros((parts, n, *t.shape[2:], t.shape[1])) for t in (offset, mask)
    ]  # summed over the channels of each part
    scratch = _scratch(problem, x, buffers=2)
    inputs = (_nhwc(x), _packed(weight, problem), offset, mask, _nhwc(grad))
    _call("backward", problem, *inputs, grad_x, grad_weight, *samples, scratch)
    total = grad_weight.sum(0) if problem.slabs > 1 else grad_weight
    by_sample = [(t.sum(0) if parts > 1 else t[0]).permute(0, 3, 1, 2) for t in samples if t is not None]
    return [grad_x.permute(0, 3, 1, 2), _unpacked(total, weight, problem), *by_sample]


def _problem(x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> Problem:
    n, channels, height, width = x.shape
    outputs, group_channels, *kernel = weight.shape
    if n * height * width >= 2**31:
        raise ValueError(
            f"a batch of {n}×{height}×{width} pixels: the C++ kernel holds less than 2³¹; take a smaller one"
        )
    block = _block(group_channels)
    slabs = max(1, min(n, UNITS, SLAB_VALUES // weight.numel()))
    rows = block * math.prod(kernel)
    return Problem(
        n, height, width, channels, *offset.shape[2:], outputs, *kernel,
        *(_pair(value) for value in (geometry.stride, geometry.padding, geometry.dilation)),
        channels // group_channels, geometry.offset_groups,
        *((ctypes.c_int64 * 4)(*(t.stride() if t is not None else ())) for t in (offset, mask)),
        block=block, tile=_tile(block, rows),
        slabs=slabs, parts=min(channels // block, UNITS // slabs),
    )  # fmt: skip


def _pair(value: Sequence[int]) -> ctypes.Array:
    return (ctypes.c_int64 * 2)(*value)


def _tile(block: int, rows: int) -> int:
    """Pixels, a multiple of 16."""
    values = TILE_VALUES if block <= 128 else LONG_TILE_VALUES
    return max(16, min(1024, values // rows // 16 * 16))


def _block(channels: int) -> int:
    """The largest divisor that a tile has room for; all of them where only small ones are."""
    best = max(d for d in range(1, BLOCK_CHANNELS + 1) if channels % d == 0)
    return best if best >= BLOCK_CHANNELS // 4 else channels


def _scratch(problem: Problem, like: Tensor, buffers: int) -> Tensor:
    """Allocated here, where whoever counts memory sees it."""
    taps = problem.kernel_height * problem.kernel_width
    values = 2 * problem.block + 7 * taps * STRIP + buffers * problem.tile * taps * problem.block
    problem.scratch = -(-values // 16) * 16
    return like.new_empty((torch.get_num_threads(), problem.scratch))


def _nhwc(t: Tensor) -> Tensor:
    return t.permute(0, 2, 3, 1).contiguous()


def _packed(weight: Tensor, problem: Problem) -> Tensor:
    """(Cout, Cin/g, Kh, Kw) → (g, blocks, Cout/g, Kh·Kw, block)."""
    outputs, channels = weight.shape[:2]
    groups, block = problem.groups, problem.block
    split = weight.permute(0, 2, 3, 1).reshape(groups, outputs // groups, -1, channels // block, block)
    return split.permute(0, 3, 1, 2, 4).contiguous()


def _unpacked(packed: Tensor, weight: Tensor, problem: Problem) -> Tensor:
    outputs, channels, *kernel = weight.shape
    groups, block = problem.groups, problem.block
    split = packed.view(groups, channels // block, outputs // groups, math.prod(kernel), block)
    return split.permute(0, 2, 3, 1, 4).reshape(outputs, *kernel, channels).permute(0, 3, 1, 2)


def _call(name: str, problem: Problem, *tensors: Tensor | None) -> None:
    dtype = "float64" if tensors[0].dtype == torch.float64 else "float32"
    function = getattr(_loaded()[0], f"{name}_{dtype}")
    message = function(ctypes.byref(problem), *(None if t is None else t.data_ptr() for t in tensors))
    if message is not None:
        raise RuntimeError(message.decode())
