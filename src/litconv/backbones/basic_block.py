"""The two-convolution residual block: y = ReLU(F(x) + shortcut(x)), F = conv, BN, ReLU, conv, BN.

https://arxiv.org/abs/1512.03385; a shortcut that changes shape is a 1×1 convolution with BN (option B).
"""

from torch import Tensor, nn

from litconv.backbones.shortcut import shortcut
from litconv.backbones.stages import Geometry
from litconv.conv import ConvFactory


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, conv: ConvFactory, in_channels: int, out_channels: int, geometry: Geometry) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, stride=geometry.stride, dilation=geometry.first_dilation)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv(out_channels, out_channels, dilation=geometry.dilation)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(in_channels, out_channels, geometry)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.relu(y + self.shortcut(x))
