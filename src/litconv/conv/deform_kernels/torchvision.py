"""torchvision's kernels: the reference, and what computes on GPUs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from litconv.conv.deform_kernels.geometry import Geometry

IMAGES, SAMPLES = torch.contiguous_format, torch.contiguous_format
HALVES = ()


def forward(x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> Tensor:
    _register()
    return torch.ops.torchvision.deform_conv2d(*_arguments(x, weight, offset, mask, geometry))


def backward(
    grad: Tensor, x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry
) -> Sequence[Tensor]:
    arguments = _arguments(x, weight, offset, mask, geometry)
    _register()
    gradients = torch.ops.torchvision._deform_conv2d_backward(grad.contiguous(), *arguments)
    return gradients[: 3 if mask is None else 4]  # the last one is of the bias


def _register() -> None:
    import torchvision.ops  # noqa: F401  slow, and needed here alone


def _arguments(x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> tuple:
    samples = mask if mask is not None else offset.new_zeros((offset.shape[0], 1))
    bias = x.new_zeros(weight.shape[0])
    tensors = (t.contiguous() for t in (x, weight, offset, samples, bias))
    numbers = (*geometry.stride, *geometry.padding, *geometry.dilation)
    return (*tensors, *numbers, x.shape[1] // weight.shape[1], geometry.offset_groups, mask is not None)
