"""Sub-pixel convolution, https://arxiv.org/abs/1609.05158: a 3×3 convolution to 4·Cout channels, then each group of
four channels becomes a 2×2 square of pixels.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from litconv.conv import Formula, SameConv2d


class PixelShuffle(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = SameConv2d(in_channels, 4 * out_channels, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), 2)  # (N, 4·Cout, H, W) → (N, Cout, 2H, 2W)

    def formula(self, height: int, width: int) -> Formula:
        """36·Cin·Cout params, used at H × W."""
        return self.conv.formula(height, width)
