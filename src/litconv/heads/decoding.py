"""What the segmentation heads share: which features they read, how maps of neighbouring sizes are brought together."""

from collections.abc import Sequence
from math import log2

from torch import Tensor, nn
from torch.nn import functional as F

from litconv.conv import SameConv2d


def require_hidden(hidden: int) -> None:
    if not (isinstance(hidden, int) and hidden > 0):
        raise ValueError(f"hidden={hidden} must be a positive number of channels")


def levels(strides: Sequence[int]) -> list[int]:
    """Indices of the features to decode, coarse first: the deepest of each stride (`output_stride` equates some)."""
    deepest = {stride: index for index, stride in enumerate(strides)}
    return sorted(deepest.values(), reverse=True)


def doublings(coarse_stride: int, fine_stride: int) -> int:
    return int(log2(coarse_stride // fine_stride))


def classifier(in_channels: int, num_classes: int) -> nn.Module:
    return SameConv2d(in_channels, num_classes, 1, bias=True, gain=1.0)


def crop(x: Tensor, size: Sequence[int]) -> Tensor:
    """Twice ⌈H/2⌉ is H or H+1: cut the rest off below and to the right, where the ceil rule has added it."""
    return x[..., : size[0], : size[1]]


def enlarge(x: Tensor, factor: int, size: Sequence[int]) -> Tensor:
    """Bilinear, without parameters: the last step, to the size of the image."""
    if factor > 1:
        x = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    return crop(x, size)
