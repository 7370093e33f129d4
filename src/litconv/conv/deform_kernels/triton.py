"""A fused kernel for GPUs in Triton: a tile of pixels reads its offsets, gathers four corners, blends them and meets the
weight in `tl.dot`; columns are never written. Backward samples again.

Checked by Triton's interpreter alone (`TRITON_INTERPRET=1`), not yet measured on a GPU: `auto` does not choose it. The
gradient of the input is added up by atomics, in no fixed order, as torchvision's is. Products follow
`torch.backends.cuda.matmul.allow_tf32`.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from litconv.conv.deform_kernels.geometry import Geometry

IMAGES, SAMPLES = torch.channels_last, torch.channels_last
PIXELS, CHANNELS, OUTPUTS = 64, 32, 64  # of a tile
SPLITS = 16  # of the pixels, for the gradient of the weight


class Numbers(NamedTuple):
    """What every kernel needs to know of a problem."""

    pixels: int  # N·Ho·Wo
    out_height: int
    out_width: int
    height: int
    width: int
    channels: int
    outputs: int  # of one group
    groups: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    dilation_y: int
    dilation_x: int


@triton.jit
def _positions(
    offset, mask, pixel, tap, offset_group, p,
    TAPS: tl.constexpr, KW: tl.constexpr, OG: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """First pixel of the image, top row, left column, fractions and mask of one sample for each pixel of the tile."""
    there = pixel < p.pixels
    area = p.out_height * p.out_width
    row, column = pixel % area // p.out_width, pixel % p.out_width
    sample = (pixel * OG + offset_group) * TAPS + tap
    move_y = tl.load(offset + 2 * sample, mask=there, other=0.0)
    move_x = tl.load(offset + 2 * sample + 1, mask=there, other=0.0)
    y = (row * p.stride_y - p.padding_y + tap // KW * p.dilation_y).to(move_y.dtype) + move_y
    x = (column * p.stride_x - p.padding_x + tap % KW * p.dilation_x).to(move_x.dtype) + move_x
    # Far outside is as good as just outside; what is not a number stays so as a fraction, and is outside as a corner.
    y = tl.where(y < -2, -2.0, tl.where(y > p.height, p.height, y)).to(move_y.dtype)
    x = tl.where(x < -2, -2.0, tl.where(x > p.width, p.width, x)).to(move_x.dtype)
    top, left = tl.floor(y), tl.floor(x)
    weight = tl.full(pixel.shape, 1.0, move_y.dtype)
    if MASKED:
        weight = tl.load(mask + sample, mask=there, other=0.0)
    image = pixel // area * p.height * p.width
    row, column = tl.where(top >= -2, top, -2.0).to(tl.int32), tl.where(left >= -2, left, -2.0).to(tl.int32)
    return image, tl.where(there, row, -2), column, y - top, x - left, weight


@triton.jit
def _address(image, row, column, channel, wanted, p):
    """Where the values of a corner lie, and which of them do."""
    inside = (row >= 0) & (row < p.height) & (column >= 0) & (column < p.width)
    return (image + row * p.width + column)[:, None] * p.channels + channel[None, :], inside[:, None] & wanted[None, :]


@triton.jit
def _corners(x, image, row, column, channel, wanted, p):
    """(tile, channels) values at the four corners, zero outside."""
    at00, in00 = _address(image, row, column, channel, wanted, p)
    at01, in01 = _address(image, row, column + 1, channel, wanted, p)
    at10, in10 = _address(image, row + 1, column, channel, wanted, p)
    at11, in11 = _address(image, row + 1, column + 1, channel, wanted, p)
    v00, v01 = tl.load(x + at00, mask=in00, other=0.0), tl.load(x + at01, mask=in01, other=0.0)
    v10, v11 = tl.load(x + at10, mask=in10, other=0.0), tl.load(x + at11, mask=in11, other=0.0)
    return v00, v01, v10, v11


@triton.jit
def _sampled(x, image, row, column, fy, fx, weight, channel, wanted, p):
    """(tile, channels): columns of one tap."""
    v00, v01, v10, v11 = _corners(x, image, row, column, channel, wanted, p)
    fy, fx = fy[:, None], fx[:, None]
    return ((v00 * (1 - fx) + v01 * fx) * (1 - fy) + (v10 * (1 - fx) + v11 * fx) * fy) * weight[:, None]


@triton.jit
def _forward_kernel(
    x, weight, offset, mask, out, blocks, starts, p,
    TAPS: tl.constexpr, KW: tl.constexpr, OG: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    pixel = (tl.program_id(0) * BM + tl.arange(0, BM)).to(tl.int64)
    output = tl.program_id(1) * BN + tl.arange(0, BN)
    group = tl.program_id(2)
    total = tl.zeros((BM, BN), dtype=out.dtype.element_ty)
    for block in range(tl.load(starts + group), tl.load(starts + group + 1)):
        channel = tl.load(blocks + 4 * block) + tl.arange(0, BK)
        wanted = channel < tl.load(blocks + 4 * block + 1)
        offset_group = tl.load(blocks + 4 * block + 3)
        share = p.channels // p.groups
        for tap in range(TAPS):
            image, row, column, fy, fx, m = _positions(offset, mask, pixel, tap, offset_group, p, TAPS, KW, OG, MASKED)
            columns = _sampled(x, image, row, column, fy, fx, m, channel, wanted, p)
            at = ((group * TAPS + tap) * share + channel - group * share)[:, None] * p.outputs + output[None, :]
            factors = tl.load(weight + at, mask=wanted[:, None] & (output < p.outputs)[None, :], other=0.0)
            total = tl.dot(columns, factors, total, input_precision=PRECISION, out_dtype=total.dtype)
    at = pixel[:, None] * (p.outputs * p.groups) + group * p.outputs + output[None, :]
    tl.store(out + at, total, mask=(pixel < p.pixels)[:, None] & (output < p.outputs)[None, :])


@triton.jit
def _add(grad_x, image, row, column, values, channel, wanted, p):
    at, inside = _address(image, row, column, channel, wanted, p)
    tl.atomic_add(grad_x + at, values, mask=inside, sem="relaxed")


@triton.jit
def _samples_kernel(
    x, weight, offset, mask, grad, grad_x, grad_offset, grad_mask, blocks, starts, p,
    TAPS: tl.constexpr, KW: tl.constexpr, OG: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Gradients of the input, offsets and masks: one tap of one offset group."""
    pixel = (tl.program_id(0) * BM + tl.arange(0, BM)).to(tl.int64)
    tap, offset_group = tl.program_id(1), tl.program_id(2)
    there, share = pixel < p.pixels, p.channels // p.groups
    image, row, column, fy, fx, m = _positions(offset, mask, pixel, tap, offset_group, p, TAPS, KW, OG, MASKED)
    along_y, along_x, along_mask = tl.zeros_like(fy), tl.zeros_like(fy), tl.zeros_like(fy)
    for block in range(tl.load(starts + offset_group), tl.load(starts + offset_group + 1)):
        channel = tl.load(blocks + 4 * block) + tl.arange(0, BK)
        wanted = channel < tl.load(blocks + 4 * block + 1)
        group = tl.load(blocks + 4 * block + 2)
        g = tl.zeros((BM, BK), dtype=grad_x.dtype.element_ty)
        for first in range(0, p.outputs, BN):
            output = first + tl.arange(0, BN)
            at = pixel[:, None] * (p.outputs * p.groups) + group * p.outputs + output[None, :]
            by_pixel = tl.load(grad + at, mask=there[:, None] & (output < p.outputs)[None, :], other=0.0)
            at = ((group * TAPS + tap) * share + channel - group * share)[None, :] * p.outputs + output[:, None]
            factors = tl.load(weight + at, mask=wanted[None, :] & (output < p.outputs)[:, None], other=0.0)
            g = tl.dot(by_pixel, factors, g, input_precision=PRECISION, out_dtype=g.dtype)
        v00, v01, v10, v11 = _corners(x, image, row, column, channel, wanted, p)
        top, bottom = v00 * (1 - fx)[:, None] + v01 * fx[:, None], v10 * (1 - fx)[:, None] + v11 * fx[:, None]
        along_y += tl.sum(g * (bottom - top), 1)
        along_x += tl.sum(g * ((v01 - v00) * (1 - fy)[:, None] + (v11 - v10) * fy[:, None]), 1)
        along_mask += tl.sum(g * (top * (1 - fy)[:, None] + bottom * fy[:, None]), 1)
        _add(grad_x, image, row, column, g * ((1 - fy) * (1 - fx) * m)[:, None], channel, wanted, p)
        _add(grad_x, image, row, column + 1, g * ((1 - fy) * fx * m)[:, None], channel, wanted, p)
        _add(grad_x, image, row + 1, column, g * (fy * (1 - fx) * m)[:, None], channel, wanted, p)
        _add(grad_x, image, row + 1, column + 1, g * (fy * fx * m)[:, None], channel, wanted, p)
    sample = (pixel * OG + offset_group) * TAPS + tap
    tl.store(grad_offset + 2 * sample, along_y * m, mask=there)
    tl.store(grad_offset + 2 * sample + 1, along_x * m, mask=there)
    if MASKED:
        tl.store(grad_mask + sample, along_mask, mask=there)


@triton.jit
def _weight_kernel(
    x, offset, mask, grad, grad_weight, blocks, p,
    TAPS: tl.constexpr, KW: tl.constexpr, OG: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr,
    SPLITS: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """One tap and block of channels, over every SPLITS-th tile of pixels."""
    block, tap = tl.program_id(0) // TAPS, tl.program_id(0) % TAPS
    output, split = tl.program_id(1) * BN + tl.arange(0, BN), tl.program_id(2)
    channel = tl.load(blocks + 4 * block) + tl.arange(0, BK)
    wanted = channel < tl.load(blocks + 4 * block + 1)
    group, offset_group = tl.load(blocks + 4 * block + 2), tl.load(blocks + 4 * block + 3)
    total = tl.zeros((BK, BN), dtype=grad_weight.dtype.element_ty)
    for first in range(split * BM, p.pixels, SPLITS * BM):
        pixel = (first + tl.arange(0, BM)).to(tl.int64)
        image, row, column, fy, fx, m = _positions(offset, mask, pixel, tap, offset_group, p, TAPS, KW, OG, MASKED)
        columns = _sampled(x, image, row, column, fy, fx, m, channel, wanted, p)
        at = pixel[:, None] * (p.outputs * p.groups) + group * p.outputs + output[None, :]
        by_pixel = tl.load(grad + at, mask=(pixel < p.pixels)[:, None] & (output < p.outputs)[None, :], other=0.0)
        total = tl.dot(tl.trans(columns), by_pixel, total, input_precision=PRECISION, out_dtype=total.dtype)
    share = p.channels // p.groups
    place = ((split * p.groups + group) * TAPS + tap) * share + channel - group * share
    at = place[:, None] * p.outputs + output[None, :]
    tl.store(grad_weight + at, total, mask=wanted[:, None] & (output < p.outputs)[None, :])


class _Problem:
    """Tensors as the kernels read them, and what they are launched with."""

    def __init__(self, x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> None:
        n, channels, height, width = x.shape
        self.out_size = out_height, out_width = offset.shape[2:]
        outputs, self.share, kernel_height, kernel_width = weight.shape
        self.groups, self.offset_groups = channels // self.share, geometry.offset_groups
        self.outputs, self.taps = outputs // self.groups, kernel_height * kernel_width
        self.numbers = Numbers(
            n * out_height * out_width, out_height, out_width, height, width, channels, self.outputs, self.groups,
            *geometry.stride, *geometry.padding, *geometry.dilation,
        )  # fmt: skip
        self.x, self.offset = _nhwc(x), _nhwc(offset)
        self.mask = self.offset if mask is None else _nhwc(mask)  # never read where there is none
        split = weight.reshape(self.groups, self.outputs, self.share, self.taps)
        self.weight = split.permute(0, 3, 2, 1).contiguous()  # (g, K², Cin/g, Cout/g)
        self.options = {
            "TAPS": self.taps, "KW": kernel_width, "OG": self.offset_groups, "MASKED": mask is not None,
            "PRECISION": "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee",
            "BM": PIXELS, "BK": CHANNELS, "BN": OUTPUTS,
        }  # fmt: skip
        self._cut(channels, channels // self.offset_groups, x.device)

    def _cut(self, channels: int, offset_share: int, device: torch.device) -> None:
        """Blocks of channels that lie in one group and one offset group: first, end, group, offset group; and where
        those of each group and each offset group start."""
        edges = sorted({*range(0, channels + 1, self.share), *range(0, channels + 1, offset_share)})
        rows = [
            (first, min(first + CHANNELS, end), first // self.share, first // offset_share)
            for begin, end in pairwise(edges)
            for first in range(begin, end, CHANNELS)
        ]
        self.blocks = torch.tensor(rows, dtype=torch.int32, device=device)

        def starts(column: int, number: int) -> Tensor:
            counts = [sum(row[column] < i for row in rows) for i in range(number + 1)]
            return torch.tensor(counts, dtype=torch.int32, device=device)

        self.group_starts, self.offset_group_starts = starts(2, self.groups), starts(3, self.offset_groups)

    @property
    def tiles(self) -> int:
        return triton.cdiv(self.numbers.pixels, PIXELS)

    @property
    def output_tiles(self) -> int:
        return triton.cdiv(self.outputs, OUTPUTS)


def forward(x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> Tensor:
    p = _Problem(x, weight, offset, mask, geometry)
    out = x.new_empty((x.shape[0], *p.out_size, weight.shape[0]))
    with torch.cuda.device_of(x):  # Triton launches on the current device, whatever its tensors lie on
        _forward_kernel[(p.tiles, p.output_tiles, p.groups)](
            p.x, p.weight, p.offset, p.mask, out, p.blocks, p.group_starts, p.numbers, **p.options
        )
    return out.permute(0, 3, 1, 2)


def backward(
    grad: Tensor, x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry
) -> list[Tensor]:
    p = _Problem(x, weight, offset, mask, geometry)
    grad = _nhwc(grad)
    grad_x, grad_offset, grad_mask = torch.zeros_like(p.x), torch.empty_like(p.offset), torch.empty_like(p.mask)
    splits = min(SPLITS, p.tiles)
    grad_weight = x.new_empty((splits, *p.weight.shape))
    with torch.cuda.device_of(x):
        _samples_kernel[(p.tiles, p.taps, p.offset_groups)](
            p.x, p.weight, p.offset, p.mask, grad, grad_x, grad_offset, grad_mask,
            p.blocks, p.offset_group_starts, p.numbers, **p.options,
        )  # fmt: skip
        _weight_kernel[(len(p.blocks) * p.taps, p.output_tiles, splits)](
            p.x, p.offset, p.mask, grad, grad_weight, p.blocks, p.numbers, SPLITS=splits, **p.options
        )
    grad_weight = grad_weight.sum(0).permute(0, 3, 2, 1).reshape(weight.shape)
    gradients = [grad_x.permute(0, 3, 1, 2), grad_weight, grad_offset.permute(0, 3, 1, 2)]
    return gradients if mask is None else [*gradients, grad_mask.permute(0, 3, 1, 2)]


def _nhwc(t: Tensor) -> Tensor:
    return t.permute(0, 2, 3, 1).contiguous()
