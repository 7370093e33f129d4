"""Transposed convolution, stride 2 (https://arxiv.org/abs/1603.07285, chapter 4).

The transpose of the matrix of a "same" stride-2 convolution: ⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩. It does not invert it.
"""

from torch import Tensor, nn

from litconv.conv import Formula


class Transposed(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int = 2) -> None:
        super().__init__()
        if kernel_size not in (2, 3, 4):
            raise ValueError(f"transposed: kernel_size={kernel_size} must be 2, 3 or 4")
        padding = (kernel_size - 1) // 2  # as much as the convolution pads in front
        self.conv = nn.ConvTranspose2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=2,
            padding=padding,
            output_padding=2 + 2 * padding - kernel_size,  # then the output is 2H × 2W
            bias=False,
        )
        self.conv.gain = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)  # (N, Cout, 2H, 2W)

    def formula(self, height: int, width: int) -> Formula:
        """K²·Cin·Cout params, each used once per input pixel."""
        params = self.conv.kernel_size[0] ** 2 * self.conv.in_channels * self.conv.out_channels
        return Formula(params, params * height * width)
