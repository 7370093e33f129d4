"""The pre-activation residual block: y = F(a) + x, a = ReLU(BN(x)), F = conv, BN, ReLU, conv.

https://arxiv.org/abs/1603.05027; where the shape changes, the 1×1 shortcut reads the activated input: y = F(a) + W·a.
"""

from torch import Tensor, nn

from litconv.backbones.stages import Geometry
from litconv.conv import ConvFactory, SameConv2d


class PreactivationBlock(nn.Module):
    def __init__(self, conv: ConvFactory, in_channels: int, out_channels: int, geometry: Geometry) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv(in_channels, out_channels, stride=geometry.stride, dilation=geometry.first_dilation)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv(out_channels, out_channels, dilation=geometry.dilation)
        self.relu = nn.ReLU(inplace=True)
        self.changes_shape = geometry.downsamples or in_channels != out_channels
        if self.changes_shape:
            self.shortcut = SameConv2d(in_channels, out_channels, 1, stride=geometry.stride, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu(self.norm1(x))
        around = self.shortcut(activated) if self.changes_shape else x
        y = self.relu(self.norm2(self.conv1(activated)))
        return self.conv2(y) + around
