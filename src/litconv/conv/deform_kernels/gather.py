"""Pure PyTorch, on any device: four weighted gathers from a channels-last table (`F.embedding_bag`), one matrix product.

A few images at a time, so that their columns need little memory.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from litconv.conv.deform_kernels.geometry import Geometry

IMAGES, SAMPLES = torch.preserve_format, torch.preserve_format
HALVES = ()
_SUM = 0  # embedding_bag's mode
COLUMN_VALUES = 2**20  # of the images that are computed at a time; one image at least


class Samples(NamedTuple):
    """Where the M = N·Ho·Wo·K²·G samples lie in the channels-last table, and how their four corners blend."""

    table: Tensor  # (N·(H+3)·(W+3)·G, Cin/G), the input with a border of zeros
    index: Tensor  # (M, 4) rows of the table
    bilinear: Tensor  # (M, 4)
    mask: Tensor | None  # (M, 1)
    fraction: Tensor  # (2, M) of y and x
    moves: Tensor  # (2, M): 0 where the position is held at the border, so that it has no gradient
    offset_groups: int

    @property
    def weights(self) -> Tensor:
        return self.bilinear if self.mask is None else self.bilinear * self.mask


def _sample(x: Tensor, offset: Tensor, mask: Tensor | None, kernel: Sequence[int], geometry: Geometry) -> Samples:
    n, c, h, w = x.shape
    ho, wo = offset.shape[-2:]
    kh, kw = kernel
    groups, device = geometry.offset_groups, x.device
    # (N, G·K²·2, Ho, Wo) → (2, N, Ho, Wo, K², G)
    position = offset.reshape(n, groups, kh * kw, 2, ho, wo).permute(3, 0, 4, 5, 2, 1).contiguous()
    tap = torch.arange(kh * kw, device=device)
    rows = torch.arange(ho, device=device).view(ho, 1, 1, 1) * geometry.stride[0] - geometry.padding[0]
    columns = torch.arange(wo, device=device).view(1, wo, 1, 1) * geometry.stride[1] - geometry.padding[1]
    position[0] += rows + (tap // kw * geometry.dilation[0]).view(-1, 1)
    position[1] += columns + (tap % kw * geometry.dilation[1]).view(-1, 1)
    # A border of zeros stands for everything outside; beyond it nothing changes, so positions are held at it. On whole
    # pixels the slope is the one towards the next: at −1, where training starts, that is into the image.
    limit = torch.tensor([h, w], device=device).view(2, 1, 1, 1, 1, 1).to(position.dtype)
    moves = (position >= -1) & (position < limit)
    position = position.clamp(min=-1).minimum(limit)
    corner = position.floor()
    fraction = (position - corner).view(2, -1)
    corner = corner.long() + 1
    height, width = h + 3, w + 3
    image = torch.arange(n, device=device).view(n, 1, 1, 1, 1) * (height * width)
    first = (image + corner[0] * width + corner[1]) * groups + torch.arange(groups, device=device)
    first = first.clamp(0, (n * height * width - width - 1) * groups - 1)  # NaN offsets must give NaN, not a wild read
    step = torch.tensor([0, 1, width, width + 1], device=device) * groups
    fy, fx = fraction
    return Samples(
        table=F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 2, 1, 2)).reshape(-1, c // groups),
        index=(first.view(-1, 1) + step),
        bilinear=torch.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx], dim=-1),
        mask=None if mask is None else mask.reshape(n, groups, -1, ho, wo).permute(0, 3, 4, 2, 1).reshape(-1, 1),
        fraction=fraction,
        moves=moves.view(2, -1),
        offset_groups=groups,
    )


def _flat(weight: Tensor, groups: int) -> Tensor:
    """(Cout, Cin/g, Kh, Kw) → (g, K²·Cin/g, Cout/g), in the order of the columns."""
    return weight.permute(2, 3, 1, 0).reshape(-1, groups, weight.shape[0] // groups).transpose(0, 1)


def _columns(samples: Samples, taps: int, groups: int) -> Tensor:
    """(g, P, K²·Cin/g)"""
    sampled = F.embedding_bag(samples.index, samples.table, mode="sum", per_sample_weights=samples.weights)
    by_pixel = sampled.view(-1, taps, groups, sampled.shape[1] * samples.offset_groups // groups)
    return by_pixel.permute(2, 0, 1, 3).reshape(groups, by_pixel.shape[0], -1)


def forward(x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> Tensor:
    return torch.cat([_forward(i, weight, o, m, geometry) for i, o, m in _slabs(weight, x, offset, mask)])


def backward(
    grad: Tensor, x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry
) -> list[Tensor]:
    pieces, grad_weight = [], torch.zeros_like(weight)
    for i, o, m, g in _slabs(weight, x, offset, mask, grad):
        grad_x, of_weight, *rest = _backward(g, i, weight, o, m, geometry)
        grad_weight += of_weight
        pieces.append((grad_x, *rest))
    grad_x, *rest = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    return [grad_x, grad_weight, *rest]


def _slabs(weight: Tensor, x: Tensor, offset: Tensor, *others: Tensor | None) -> Iterator[tuple[Tensor | None, ...]]:
    """The tensors cut into a few images each."""
    values = x.shape[1] * math.prod(weight.shape[2:]) * math.prod(offset.shape[2:])
    images = max(1, COLUMN_VALUES // values)
    for first in range(0, x.shape[0], images):
        yield tuple(None if t is None else t[first : first + images] for t in (x, offset, *others))


def _forward(x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> Tensor:
    groups, kernel = x.shape[1] // weight.shape[1], weight.shape[2:]
    samples = _sample(x, offset, mask, kernel, geometry)
    out = torch.bmm(_columns(samples, math.prod(kernel), groups), _flat(weight, groups))  # (g, N·Ho·Wo, Cout/g)
    return out.transpose(0, 1).reshape(x.shape[0], *offset.shape[-2:], -1).permute(0, 3, 1, 2)


def _scatter(grad_columns: Tensor, samples: Samples) -> Tensor:
    """The gradient of the table. Samples are sorted by their first corner, summed per row for each of the four corners
    and the four sums moved to their places: one sort of M keys where embedding_bag's own backward sorts 4·M."""
    first, steps = samples.index[:, 0], (samples.index[0] - samples.index[0, 0]).tolist()
    rows = samples.table.shape[0] - steps[-1]
    order, weights = first.argsort(stable=True), samples.weights
    ends = first.bincount(minlength=rows).cumsum(0)
    starts = F.pad(ends[:-1], (1, 0))
    grad_table = torch.zeros_like(samples.table)
    for corner, step in enumerate(steps):
        grad_table[step : step + rows] += F.embedding_bag(
            order, grad_columns, starts, mode="sum", per_sample_weights=weights[order, corner]
        )
    return grad_table


def _backward(
    grad: Tensor, x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry
) -> list[Tensor]:
    n, c, h, w = x.shape
    groups, kernel, taps = c // weight.shape[1], weight.shape[2:], math.prod(weight.shape[2:])
    samples = _sample(x, offset, mask, kernel, geometry)
    by_pixel = grad.permute(0, 2, 3, 1).reshape(-1, groups, weight.shape[0] // groups).transpose(0, 1)  # (g, P, Cout/g)
    grad_weight = torch.bmm(_columns(samples, taps, groups).transpose(1, 2), by_pixel)  # (g, K²·Cin/g, Cout/g)
    grad_weight = grad_weight.view(groups, *kernel, c // groups, -1).permute(0, 4, 3, 1, 2).reshape(weight.shape)
    grad_columns = torch.bmm(by_pixel, _flat(weight, groups).transpose(1, 2))  # (g, P, K²·Cin/g)
    grad_columns = grad_columns.view(groups, -1, taps, c // groups).permute(1, 2, 0, 3)
    grad_columns = grad_columns.reshape(-1, samples.table.shape[1])  # (M, Cin/G)
    share = _shares(grad_columns, samples)
    grad_x = _scatter(grad_columns, samples).view(n, h + 3, w + 3, c)[:, 1:-2, 1:-2].permute(0, 3, 1, 2)
    (fy, fx), (s00, s01, s10, s11) = samples.fraction, share.unbind(1)
    slope = torch.stack([(s10 - s00) * (1 - fx) + (s11 - s01) * fx, (s01 - s00) * (1 - fy) + (s11 - s10) * fy])
    slope = slope * samples.moves
    ho, wo = offset.shape[-2:]
    shape = (n, ho, wo, taps, geometry.offset_groups)
    gradients = [grad_x, grad_weight]
    if mask is None:
        return [*gradients, slope.view(2, *shape).permute(1, 5, 4, 0, 2, 3).reshape(offset.shape)]
    slope = slope * samples.mask.view(1, -1)
    grad_mask = (share * samples.bilinear).sum(1).view(shape).permute(0, 4, 3, 1, 2).reshape(mask.shape)
    return [*gradients, slope.view(2, *shape).permute(1, 5, 4, 0, 2, 3).reshape(offset.shape), grad_mask]


def _shares(grad_columns: Tensor, samples: Samples) -> Tensor:
    """(M, 4): of each corner, ⟨gradient of the sample, value at the corner⟩."""
    offsets = torch.arange(0, samples.index.numel(), 4, device=grad_columns.device)
    bag_of_index = torch.arange(len(offsets), device=grad_columns.device).repeat_interleave(4)
    return torch.ops.aten._embedding_bag_per_sample_weights_backward(
        grad_columns, samples.table, samples.index.view(-1), offsets, bag_of_index, _SUM
    ).view(-1, 4)
