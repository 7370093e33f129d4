"""The kernels of `triton.py`. Positions are int32 and found once a pixel and tap; blends and sums are float32 (float64 for
float64) whatever the operands are.

What is written in capitals is compiled in. Sizes of images never are; of a layer's numbers, whether they are 1 or divisible by
16. What a vector load needs to know besides is ALIGN, which divides the channels of every group and offset group.
"""

from typing import NamedTuple

import triton
import triton.language as tl


class Size(NamedTuple):
    """Of images, and which pixels a launch computes."""

    first: int  # of the N·Ho·Wo
    last: int  # one after
    out_height: int
    out_width: int
    height: int
    width: int


SIZES = [*Size.__annotations__]  # whose values are never compiled in


class Layer(NamedTuple):
    """What is the same for images of every size."""

    channels: int
    share: int  # channels of a group
    offset_share: int  # channels of an offset group
    run: int  # channels that share a group and an offset group
    outputs: int  # of a group
    offset_groups: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    dilation_y: int
    dilation_x: int


@triton.jit
def _whole(number, ALIGN: tl.constexpr):
    """The number, which ALIGN divides, so that the compiler sees that it does."""
    return number // ALIGN * ALIGN


@triton.jit
def _home(pixel, size, layer):
    """The first pixel of its image, and the row and the column of the kernel's first tap."""
    area = size.out_height * size.out_width
    image = pixel // area
    place = pixel - image * area
    row = place // size.out_width
    column = place - row * size.out_width
    return (
        image * (size.height * size.width),
        row * layer.stride_y - layer.padding_y,
        column * layer.stride_x - layer.padding_x,
    )


@triton.jit
def _position(
    offset, mask, pixel, image, row, column, tap, offset_group, size, layer,
    TAPS: tl.constexpr, KW: tl.constexpr, MASKED: tl.constexpr, ALIGN: tl.constexpr,
):  # fmt: skip
    """Of one sample for each pixel: where its first corner's values lie, which corners are inside, fractions and mask."""
    there = pixel < size.last
    sample = (pixel * layer.offset_groups + offset_group) * TAPS + tap
    move_y = tl.load(offset + 2 * sample, mask=there, other=0.0)
    move_x = tl.load(offset + 2 * sample + 1, mask=there, other=0.0)
    m = tl.full(pixel.shape, 1.0, move_y.dtype)
    if MASKED:
        m = tl.load(mask + sample, mask=there, other=0.0)
    y = (row + tap // KW * layer.dilation_y).to(move_y.dtype) + move_y
    x = (column + tap % KW * layer.dilation_x).to(move_x.dtype) + move_x
    # Far outside is as good as just outside; what is not a number stays so as a fraction, and is outside as a corner.
    y = tl.where(y < -2, -2.0, tl.where(y > size.height, size.height, y)).to(move_y.dtype)
    x = tl.where(x < -2, -2.0, tl.where(x > size.width, size.width, x)).to(move_x.dtype)
    top, left = tl.floor(y), tl.floor(x)
    r = tl.where(there & (top >= -2), top, -2.0).to(tl.int32)
    c = tl.where(left >= -2, left, -2.0).to(tl.int32)
    above, below = (r >= 0) & (r < size.height), (r >= -1) & (r < size.height - 1)
    before, after = (c >= 0) & (c < size.width), (c >= -1) & (c < size.width - 1)
    at = (image + r * size.width + c) * _whole(layer.channels, ALIGN)
    return at, above & before, above & after, below & before, below & after, y - top, x - left, m


@triton.jit
def _weights(fy, fx, m):
    """Of the four corners."""
    bottom = fy * m
    top = m - bottom
    return top * (1 - fx), top * fx, bottom * (1 - fx), bottom * fx


@triton.jit
def _corners(x, at, in00, in01, in10, in11, channel, wanted, size, layer, ALIGN: tl.constexpr):
    """(pixels, channels) values at the four corners, zero outside."""
    right = _whole(layer.channels, ALIGN)
    below = right * size.width
    place, wanted = x + (at[:, None] + channel[None, :]), wanted[None, :]
    v00 = tl.load(place, mask=in00[:, None] & wanted, other=0.0)
    v01 = tl.load(place + right, mask=in01[:, None] & wanted, other=0.0)
    v10 = tl.load(place + below, mask=in10[:, None] & wanted, other=0.0)
    v11 = tl.load(place + (below + right), mask=in11[:, None] & wanted, other=0.0)
    return v00, v01, v10, v11


@triton.jit
def _blend(v00, v01, v10, v11, w00, w01, w10, w11):
    """Columns of one tap."""
    upper = v00 * w00[:, None] + v01 * w01[:, None]
    return upper + v10 * w10[:, None] + v11 * w11[:, None]


@triton.jit(do_not_specialize=SIZES)
def forward_kernel(
    x, weight, offset, mask, out, layer, first, last, out_height, out_width, height, width,
    TAPS: tl.constexpr, KW: tl.constexpr, MASKED: tl.constexpr, ALIGN: tl.constexpr, ALIGN_OUT: tl.constexpr,
    PRECISION: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """A tile of pixels and outputs of one group: columns meet the weight in tensor cores and are never written."""
    size = Size(first, last, out_height, out_width, height, width)
    pixel = first + tl.program_id(0) * BM + tl.arange(0, BM)
    output, group = tl.program_id(1) * BN + tl.arange(0, BN), tl.program_id(2)
    share, run, outputs = _whole(layer.share, ALIGN), _whole(layer.run, ALIGN), _whole(layer.outputs, ALIGN_OUT)
    image, row, column = _home(pixel, size, layer)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for tap in range(TAPS):
        for start in range(group * share, (group + 1) * share, run):
            at, in00, in01, in10, in11, fy, fx, m = _position(
                offset,
                mask,
                pixel,
                image,
                row,
                column,
                tap,
                start // layer.offset_share,
                size,
                layer,
                TAPS,
                KW,
                MASKED,
                ALIGN,
            )
            w00, w01, w10, w11 = _weights(fy, fx, m)
            for begin in range(start, start + run, BK):
                channel = begin + tl.arange(0, BK)
                wanted = channel < start + run
                v00, v01, v10, v11 = _corners(x, at, in00, in01, in10, in11, channel, wanted, size, layer, ALIGN)
                columns = _blend(v00, v01, v10, v11, w00, w01, w10, w11).to(x.dtype.element_ty)
                line = (group * TAPS + tap) * share + channel - group * share
                factors = tl.load(
                    weight + (line[:, None] * outputs + output[None, :]),
                    mask=wanted[:, None] & (output < outputs)[None, :],
                    other=0.0,
                )
                total = tl.dot(columns, factors, total, input_precision=PRECISION)
    at = pixel[:, None] * (layer.channels // layer.share * outputs) + (group * outputs + output)[None, :]
    tl.store(out + at, total.to(out.dtype.element_ty), mask=(pixel < size.last)[:, None] & (output < outputs)[None, :])


@triton.jit
def _column(pixel, tap, channel, size, layer, TAPS: tl.constexpr, ALIGN: tl.constexpr, GROUPED: tl.constexpr):
    """Where columns (g, pixels, K², Cin/g) lie: the part of the pixels and the part of the channels."""
    share = _whole(layer.share, ALIGN)
    line = ((pixel - size.first) * TAPS + tap) * share
    if GROUPED:
        group = channel // layer.share
        place = group * ((size.last - size.first) * TAPS - 1) * share + channel
        channel = tl.max_contiguous(tl.multiple_of(place, ALIGN), ALIGN)
    return line, channel


@triton.jit(do_not_specialize=[*SIZES, "taps"])
def columns_kernel(
    x, offset, mask, columns, layer, taps, first, last, out_height, out_width, height, width,
    TAPS: tl.constexpr, KW: tl.constexpr, MASKED: tl.constexpr, ALIGN: tl.constexpr, GROUPED: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Columns of a tile of pixels, some taps and one offset group."""
    size = Size(first, last, out_height, out_width, height, width)
    pixel = first + tl.program_id(0) * BM + tl.arange(0, BM)
    offset_group = tl.program_id(2)
    offset_share = _whole(layer.offset_share, ALIGN)
    image, row, column = _home(pixel, size, layer)
    for tap in range(tl.program_id(1) * taps, tl.minimum(TAPS, (tl.program_id(1) + 1) * taps)):
        at, in00, in01, in10, in11, fy, fx, m = _position(
            offset, mask, pixel, image, row, column, tap, offset_group, size, layer, TAPS, KW, MASKED, ALIGN
        )
        w00, w01, w10, w11 = _weights(fy, fx, m)
        for begin in range(offset_group * offset_share, (offset_group + 1) * offset_share, BK):
            channel = begin + tl.arange(0, BK)
            wanted = channel < (offset_group + 1) * offset_share
            v00, v01, v10, v11 = _corners(x, at, in00, in01, in10, in11, channel, wanted, size, layer, ALIGN)
            values = _blend(v00, v01, v10, v11, w00, w01, w10, w11).to(columns.dtype.element_ty)
            line, part = _column(pixel, tap, channel, size, layer, TAPS, ALIGN, GROUPED)
            tl.store(
                columns + (line[:, None] + part[None, :]), values, mask=(pixel < size.last)[:, None] & wanted[None, :]
            )


@triton.jit(do_not_specialize=[*SIZES, "taps"])
def gradients_kernel(
    x, offset, mask, columns, grad_x, grad_offset, grad_mask, layer, taps, first, last, out_height, out_width, height, width,
    TAPS: tl.constexpr, KW: tl.constexpr, MASKED: tl.constexpr, ALIGN: tl.constexpr, GROUPED: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Gradients of the input, offsets and masks from those of the columns, in whose place the columns are left: for the
    gradient of the weight nothing is sampled again."""
    size = Size(first, last, out_height, out_width, height, width)
    pixel = first + tl.program_id(0) * BM + tl.arange(0, BM)
    offset_group, there = tl.program_id(2), pixel < size.last
    offset_share, right = _whole(layer.offset_share, ALIGN), _whole(layer.channels, ALIGN)
    below = right * size.width
    image, row, column = _home(pixel, size, layer)
    for tap in range(tl.program_id(1) * taps, tl.minimum(TAPS, (tl.program_id(1) + 1) * taps)):
        at, in00, in01, in10, in11, fy, fx, m = _position(
            offset, mask, pixel, image, row, column, tap, offset_group, size, layer, TAPS, KW, MASKED, ALIGN
        )
        w00, w01, w10, w11 = _weights(fy, fx, m)
        s00, s01, s10, s11 = tl.zeros_like(fy), tl.zeros_like(fy), tl.zeros_like(fy), tl.zeros_like(fy)
        for begin in range(offset_group * offset_share, (offset_group + 1) * offset_share, BK):
            channel = begin + tl.arange(0, BK)
            wanted = channel < (offset_group + 1) * offset_share
            line, part = _column(pixel, tap, channel, size, layer, TAPS, ALIGN, GROUPED)
            place, rows = columns + (line[:, None] + part[None, :]), there[:, None] & wanted[None, :]
            g = tl.load(place, mask=rows, other=0.0).to(fy.dtype)
            v00, v01, v10, v11 = _corners(x, at, in00, in01, in10, in11, channel, wanted, size, layer, ALIGN)
            values = _blend(v00, v01, v10, v11, w00, w01, w10, w11)
            s00 += tl.sum(g * v00, 1)
            s01 += tl.sum(g * v01, 1)
            s10 += tl.sum(g * v10, 1)
            s11 += tl.sum(g * v11, 1)
            tl.debug_barrier()  # all have read before any writes
            tl.store(place, values.to(columns.dtype.element_ty), mask=rows)
            goal, wide = grad_x + (at[:, None] + channel[None, :]), wanted[None, :]
            tl.atomic_add(goal, g * w00[:, None], mask=in00[:, None] & wide, sem="relaxed")
            tl.atomic_add(goal + right, g * w01[:, None], mask=in01[:, None] & wide, sem="relaxed")
            tl.atomic_add(goal + below, g * w10[:, None], mask=in10[:, None] & wide, sem="relaxed")
            tl.atomic_add(goal + (below + right), g * w11[:, None], mask=in11[:, None] & wide, sem="relaxed")
        sample = (pixel * layer.offset_groups + offset_group) * TAPS + tap
        along_y, along_x = (s10 - s00) * (1 - fx) + (s11 - s01) * fx, (s01 - s00) * (1 - fy) + (s11 - s10) * fy
        tl.store(grad_offset + 2 * sample, along_y * m, mask=there)
        tl.store(grad_offset + 2 * sample + 1, along_x * m, mask=there)
        if MASKED:
            upper, lower = s00 * (1 - fx) + s01 * fx, s10 * (1 - fx) + s11 * fx
            tl.store(grad_mask + sample, upper * (1 - fy) + lower * fy, mask=there)
