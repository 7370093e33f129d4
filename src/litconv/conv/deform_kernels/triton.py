"""Kernels for GPUs in Triton (`triton_jit.py`). Forward: a tile of pixels reads its offsets, gathers four corners, blends
them and meets the weight in tensor cores; columns are never written. Backward: cuBLAS makes the gradient of the columns, one
kernel turns it into the gradients of the input, offsets and masks and leaves the columns in its place, and cuBLAS makes the
weight's of them. Exact float32 has no tensor cores: there, and for float64, forward too writes columns, and cuBLAS
multiplies.

Columns of a part of the pixels at a time, so that they stay in a GPU's cache. A call waits for nothing and makes no tensor
on the host: CUDA graphs can hold it. Products follow `torch.backends.cuda.matmul.fp32_precision`. The gradient of the input is
added up by atomics, in no fixed order, as torchvision's is.
"""

from collections.abc import Iterator
from functools import cache, reduce
from math import gcd

import torch
import triton
from torch import Tensor

from litconv.conv.deform_kernels.geometry import Geometry
from litconv.conv.deform_kernels.triton_jit import Layer, Size, columns_kernel, forward_kernel, gradients_kernel

IMAGES, SAMPLES = torch.channels_last, torch.channels_last
HALVES = (torch.bfloat16, torch.float16)
TILE = 64  # pixels of the forward kernel's tile
LEAST_OUTPUTS, MOST_OUTPUTS = 64, 256  # of the forward kernel's tile
LEAST_CHANNELS = 16  # of a product in tensor cores
VALUES = 1024  # of a tile of columns
COLUMN_BYTES = 2**25  # of the columns of a part of the pixels
INDEXES = 2**30  # of a tensor in one launch: positions are int32


class _Problem:
    """Tensors as the kernels read them, and what they are launched with."""

    def __init__(self, x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> None:
        n, channels, height, width = x.shape
        out_height, out_width = offset.shape[2:]
        outputs, share, kernel_height, kernel_width = weight.shape
        self.groups, self.taps = channels // share, kernel_height * kernel_width
        self.pixels, self.outputs = n * out_height * out_width, outputs // self.groups
        offset_share = channels // geometry.offset_groups
        self.size = Size(0, self.pixels, out_height, out_width, height, width)
        self.layer = Layer(
            channels, share, offset_share, gcd(share, offset_share), self.outputs, geometry.offset_groups,
            *geometry.stride, *geometry.padding, *geometry.dilation,
        )  # fmt: skip
        self.x, self.offset = _nhwc(x), _nhwc(offset)
        self.mask = self.offset if mask is None else _nhwc(mask)  # never read where there is none
        split = weight.reshape(self.groups, self.outputs, share, self.taps)
        self.weight = split.permute(0, 3, 2, 1).contiguous()  # (g, K², Cin/g, Cout/g)
        self.matrix = self.weight.view(self.groups, -1, self.outputs)
        self.processors = _processors(x.device)
        self.options = {
            "TAPS": self.taps, "KW": kernel_width, "MASKED": mask is not None, "ALIGN": gcd(self.layer.run, 16),
            "num_stages": 1, "enable_fp_fusion": True,
        }  # fmt: skip

    @property
    def uses_tensor_cores(self) -> bool:
        tf32 = self.x.dtype == torch.float32 and torch.backends.cuda.matmul.fp32_precision == "tf32"
        return (tf32 or self.x.dtype in HALVES) and self.layer.run >= LEAST_CHANNELS

    def output_tile(self) -> int:
        """All outputs of a group, unless processors were idle: each tile samples again."""
        tile = min(max(triton.next_power_of_2(self.outputs), 16), MOST_OUTPUTS)
        while tile > LEAST_OUTPUTS and self._forward_tiles(tile) < self.processors:
            tile //= 2
        return tile

    def _forward_tiles(self, outputs: int) -> int:
        return triton.cdiv(self.pixels, TILE) * triton.cdiv(self.outputs, outputs) * self.groups

    def parts(self) -> Iterator[Size]:
        """The pixels, as many at a time as COLUMN_BYTES hold."""
        most = max(1, COLUMN_BYTES // (self.taps * self.layer.channels * self.x.element_size()))
        step = triton.cdiv(self.pixels, triton.cdiv(self.pixels, most))
        for first in range(0, self.pixels, step):
            yield self.size._replace(first=first, last=min(first + step, self.pixels))

    def tiles(self, part: Size) -> tuple[tuple[int, int, int], int, dict]:
        """Grid, taps of a program and options of a kernel over columns: all taps, unless processors were idle."""
        channels = min(max(triton.next_power_of_2(self.layer.offset_share), 16), 128 // self.x.element_size())
        pixels = VALUES // channels
        tiles = triton.cdiv(part.last - part.first, pixels)
        splits = min(self.taps, triton.cdiv(4 * self.processors, tiles * self.layer.offset_groups))
        taps = triton.cdiv(self.taps, splits)
        grid = tiles, triton.cdiv(self.taps, taps), self.layer.offset_groups
        return grid, taps, {"BM": pixels, "BK": channels, "GROUPED": self.groups > 1, **self.options}

    def by_group(self, t: Tensor) -> Tensor:
        """(N, Ho, Wo, Cout) → (g, N·Ho·Wo, Cout/g), without a copy."""
        return t.view(self.pixels, self.groups, self.outputs).transpose(0, 1)


def forward(x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> Tensor:
    out = x.new_empty((x.shape[0], *offset.shape[2:], weight.shape[0]))
    with torch.cuda.device_of(x):  # Triton launches on the current device, whatever its tensors lie on
        for images, offsets, masks, values in _slabs(x, offset, mask, out):
            problem = _Problem(images, weight, offsets, masks, geometry)
            (_fused if problem.uses_tensor_cores else _in_columns)(problem, values)
    return out.permute(0, 3, 1, 2)


def _fused(p: _Problem, out: Tensor) -> None:
    outputs = p.output_tile()
    grid = triton.cdiv(p.pixels, TILE), triton.cdiv(p.outputs, outputs), p.groups
    most = (64 if outputs == MOST_OUTPUTS else 128) // p.x.element_size()
    large = outputs >= LEAST_OUTPUTS  # two programs fit a processor: 2 · 8 warps · 32 threads · 128 registers
    forward_kernel[grid](
        p.x, p.weight, p.offset, p.mask, out, p.layer, *p.size, ALIGN_OUT=gcd(p.outputs, 16), PRECISION="tf32",
        BM=TILE, BK=min(triton.next_power_of_2(p.layer.run), most), BN=outputs,
        num_warps=8 if large else 4, maxnreg=128 if large else None, **p.options,
    )  # fmt: skip


def _in_columns(p: _Problem, out: Tensor) -> None:
    values = p.by_group(out)
    for part in p.parts():
        columns = p.x.new_empty((p.groups, part.last - part.first, p.matrix.shape[1]))
        grid, taps, options = p.tiles(part)
        columns_kernel[grid](p.x, p.offset, p.mask, columns, p.layer, taps, *part, **options)
        torch.bmm(columns, p.matrix, out=values[:, part.first : part.last])


def backward(
    grad: Tensor, x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry
) -> list[Tensor]:
    n, channels, height, width = x.shape
    grad_x = offset.new_zeros((n, height, width, channels))
    samples = [offset.new_empty((n, *t.shape[2:], t.shape[1])) for t in (offset, mask) if t is not None]
    of_weight: list[Tensor] = []  # (g, K², Cin/g, Cout/g), by parts
    with torch.cuda.device_of(x):
        for images, offsets, masks, grads, *results in _slabs(x, offset, mask, grad, grad_x, *samples):
            problem = _Problem(images, weight, offsets, masks, geometry)
            of_weight += _gradients(problem, _nhwc(grads), *results)
    grad_weight = reduce(torch.add, of_weight).permute(0, 3, 2, 1).reshape(weight.shape)
    return [grad_x.permute(0, 3, 1, 2), grad_weight, *(t.permute(0, 3, 1, 2) for t in samples)]


def _gradients(p: _Problem, grad: Tensor, grad_x: Tensor, grad_offset: Tensor, *grad_mask: Tensor) -> Iterator[Tensor]:
    """The weight's, by parts of the pixels; the others are filled."""
    grads = p.by_group(grad)
    for part in p.parts():
        grad_part = grads[:, part.first : part.last]
        columns = torch.bmm(grad_part, p.matrix.transpose(1, 2))
        grid, taps, options = p.tiles(part)
        gradients_kernel[grid](
            p.x, p.offset, p.mask, columns, grad_x, grad_offset, *(grad_mask or [grad_offset]),
            p.layer, taps, *part, **options,
        )  # fmt: skip
        yield torch.bmm(columns.transpose(1, 2), grad_part).to(grad_x.dtype).view(p.weight.shape)


@cache
def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def _slabs(*tensors: Tensor | None) -> Iterator[tuple[Tensor | None, ...]]:
    """The tensors cut into as many images as can be indexed; nearly always all."""
    images = tensors[0].shape[0]
    largest = max(t.numel() // images for t in tensors if t is not None)
    step = max(1, INDEXES // largest)
    for first in range(0, images, step):
        yield tuple(None if t is None else t[first : first + step] for t in tensors)


def _nhwc(t: Tensor) -> Tensor:
    return t.permute(0, 2, 3, 1).contiguous()
