"""Deformable convolutions of every geometry, ours and torchvision's, each with its gradients.

Apart from the tests, so that a process that runs them need import no more than torch and torchvision.
"""

import os
import shutil

import pytest
import torch
import torchvision
from torch import Tensor

from litconv.conv.deform_op import deform_conv2d

# (groups, offset groups, modulated, kernel, stride, padding, dilation); torchvision's paddings are symmetric
GEOMETRIES = [
    (1, 1, False, (3, 3), (1, 1), (1, 1), (1, 1)),
    (1, 1, True, (3, 3), (2, 2), (1, 1), (1, 1)),
    (1, 2, True, (3, 3), (1, 1), (2, 2), (2, 2)),
    (2, 1, False, (3, 3), (1, 1), (1, 1), (1, 1)),
    (2, 4, True, (5, 5), (2, 2), (2, 2), (1, 1)),
    (4, 2, False, (1, 1), (1, 1), (0, 0), (1, 1)),
    (1, 2, False, (2, 2), (1, 1), (1, 1), (1, 1)),
    (2, 2, True, (4, 4), (1, 2), (3, 1), (2, 1)),
    (1, 1, True, (1, 3), (1, 1), (0, 1), (1, 1)),
]
INPUTS = ("x", "weight", "offset", "mask")
HAS_COMPILER = shutil.which(os.environ.get("CXX", "c++")) is not None
IMPLEMENTATIONS = [
    "gather",
    pytest.param("cpp", marks=pytest.mark.skipif(not HAS_COMPILER, reason="there is no C++ compiler")),
]


def tensors(
    geometry: tuple,
    spread: float,
    dtype: torch.dtype = torch.double,
    c: int = 8,
    size: tuple[int, int] = (7, 6),
    images: int = 2,
) -> list[Tensor | None]:
    """x, weight, offset and mask, all to be differentiated."""
    groups, offset_groups, modulated, kernel, stride, padding, dilation = geometry
    generator, n, (h, w), taps = torch.Generator().manual_seed(0), images, size, kernel[0] * kernel[1]
    axes = zip((h, w), kernel, stride, padding, dilation, strict=True)
    out = [(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in axes]
    shapes = [(n, c, h, w), (12, c // groups, *kernel), (n, 2 * offset_groups * taps, *out)]
    made = [torch.randn(shape, generator=generator, dtype=torch.double) for shape in shapes]
    made[2] *= spread
    mask = torch.rand(n, offset_groups * taps, *out, generator=generator, dtype=torch.double)
    made.append(mask if modulated else None)
    return [None if t is None else t.to(dtype).requires_grad_() for t in made]


def ours(
    x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: tuple, implementation: str = "auto"
) -> Tensor:
    return deform_conv2d(x, weight, offset, mask, *geometry[4:], geometry[1], implementation)


def theirs(x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: tuple) -> Tensor:
    _, _, _, _, stride, padding, dilation = geometry
    return torchvision.ops.deform_conv2d(
        x, offset, weight, stride=stride, padding=padding, dilation=dilation, mask=mask
    )


def with_gradients(function, inputs: list[Tensor | None], geometry: tuple) -> dict[str, Tensor]:
    inputs = [None if t is None else t.detach().clone().requires_grad_() for t in inputs]
    y = function(*inputs, geometry)
    y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.double).to(y.dtype))
    return {"output": y.detach()} | {name: t.grad for name, t in zip(INPUTS, inputs, strict=True) if t is not None}


def relative_error(a: Tensor, b: Tensor) -> float:
    return ((a.double() - b.double()).abs().max() / b.abs().max().double().clamp(min=1e-30)).item()
