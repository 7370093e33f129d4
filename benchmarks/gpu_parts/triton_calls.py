"""Deformable convolutions to call, by Triton's kernels, litconv's other ones or torchvision alone."""

from collections.abc import Callable

import torch
import torchvision
from torch import Tensor

from litconv.conv.deform_op import deform_conv2d

PRECISIONS = {  # dtype, TF32, the largest error
    "float32": (torch.float32, False, 1e-4),
    "TF32": (torch.float32, True, 1e-2),
    "bf16": (torch.bfloat16, False, 5e-2),
    "fp16": (torch.float16, False, 1e-2),
}
PLAIN = (1, 1, False, 3, 1, 1, 1)  # groups, offset groups, mask, kernel, stride, padding, dilation


def inputs(geometry: tuple, channels: int, size: int, images: int, device: torch.device) -> list[Tensor | None]:
    """x, weight, offset and mask, channels last; offsets of about a pixel."""
    groups, offset_groups, masked, kernel, stride, padding, dilation = geometry
    out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    generator, taps = torch.Generator().manual_seed(0), kernel**2 * offset_groups
    shapes = [
        (images, channels, size, size),
        (channels, channels // groups, kernel, kernel),
        (images, 2 * taps, out, out),
    ]
    made = [torch.randn(shape, generator=generator) for shape in shapes]
    made.append(torch.rand(images, taps, out, out, generator=generator) if masked else None)
    return [None if t is None else t.to(device).contiguous(memory_format=torch.channels_last) for t in made]


def computed(name: str, geometry: tuple, tensors: list[Tensor | None]) -> Tensor:
    _, offset_groups, _, _, *places = geometry
    if name == "reference":
        x, weight, offset, mask = tensors
        stride, padding, dilation = places
        return torchvision.ops.deform_conv2d(x, offset, weight, None, stride, padding, dilation, mask)
    return deform_conv2d(*tensors, *([place] * 2 for place in places), offset_groups, name)


def call_of(name: str, geometry: tuple, tensors: list[Tensor | None]) -> Callable[[], list[Tensor]]:
    """The output and all gradients."""
    tensors = [None if t is None else t.detach().requires_grad_() for t in tensors]
    known = [t for t in tensors if t is not None]
    upstream = torch.ones_like(computed(name, geometry, tensors)).cumsum(1)

    def call() -> list[Tensor]:
        y = computed(name, geometry, tensors)
        return [y, *torch.autograd.grad(y, known, upstream)]

    return call
