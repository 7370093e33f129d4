"""Convolution, BatchNorm, ReLU: the unit of stems, VGG, MobileNet and decoders."""

from collections import OrderedDict

from torch import nn

from litconv.backbones.stages import Geometry
from litconv.conv import ConvFactory


class ConvNormReLU(nn.Sequential):
    def __init__(self, conv: nn.Module, out_channels: int) -> None:
        norm, relu = nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)
        super().__init__(OrderedDict(conv=conv, norm=norm, relu=relu))


def plain_block(conv: ConvFactory, in_channels: int, out_channels: int, geometry: Geometry) -> ConvNormReLU:
    slot = conv(in_channels, out_channels, stride=geometry.stride, dilation=geometry.first_dilation)
    return ConvNormReLU(slot, out_channels)
