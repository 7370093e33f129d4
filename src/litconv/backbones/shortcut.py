"""The path around a residual block: identity, or a 1×1 convolution with BN where the shape changes."""

from torch import nn

from litconv.backbones.stages import Geometry
from litconv.conv import SameConv2d


def shortcut(in_channels: int, out_channels: int, geometry: Geometry) -> nn.Module:
    if in_channels == out_channels and not geometry.downsamples:
        return nn.Identity()
    return nn.Sequential(
        SameConv2d(in_channels, out_channels, 1, stride=geometry.stride, gain=1.0), nn.BatchNorm2d(out_channels)
    )
