"""A convolution whose number of groups is the batch's size, each image having kernels of its own (CondConv).

Files have a fixed number of groups. Here the K×K values that each kernel reads are laid side by side, and one product of
matrices for each image does the rest: the same MACs, for every batch.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def has_kernels_of_images(func: Any, args: Sequence[Any], options: dict[str, Any]) -> bool:
    """A call of conv2d whose number of groups follows the batch: a SymInt of torch.export's, a tensor of a trace's."""
    if func is not torch.conv2d:
        return False
    bias = args[2] if len(args) > 2 else options.get("bias")
    groups = args[6] if len(args) > 6 else options.get("groups", 1)
    return bias is None and isinstance(groups, torch.SymInt | Tensor)


def as_product(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int | torch.SymInt | Tensor = 1,
) -> Tensor:
    """x (1, N·C, H, W), weight (N·Cout, C, Kh, Kw), N groups → (1, N·Cout, Ho, Wo)"""
    channels, *kernel = weight.shape[1:]
    images = x.reshape(groups, channels, *x.shape[2:])
    images = F.pad(images, (padding[1], padding[1], padding[0], padding[0]))
    spans = [rate * (size - 1) for rate, size in zip(dilation, kernel, strict=True)]
    rows, columns = (
        (size - span - 1) // step + 1 for size, span, step in zip(images.shape[2:], spans, stride, strict=True)
    )
    down, across = stride
    taps = [
        images[:, :, i : i + down * (rows - 1) + 1 : down, j : j + across * (columns - 1) + 1 : across]
        for i in range(0, spans[0] + 1, dilation[0])
        for j in range(0, spans[1] + 1, dilation[1])
    ]
    read = torch.stack(taps, dim=2).reshape(groups, -1, rows * columns)  # (N, C·Kh·Kw, Ho·Wo)
    kernels = weight.reshape(groups, -1, read.shape[1])  # (N, Cout, C·Kh·Kw)
    return (kernels @ read).reshape(1, -1, rows, columns)
