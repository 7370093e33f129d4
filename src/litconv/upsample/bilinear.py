"""Bilinear interpolation ×2, then a 3×3 convolution ("resize-convolution", https://distill.pub/2016/deconv-checkerboard)."""

from torch import Tensor, nn
from torch.nn import functional as F

from litconv.conv import Formula, SameConv2d


class Bilinear(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = SameConv2d(in_channels, out_channels, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))  # (N, Cout, 2H, 2W)

    def formula(self, height: int, width: int) -> Formula:
        """9·Cin·Cout params, used at 2H × 2W; height and width are the input's."""
        return self.conv.formula(2 * height, 2 * width)
