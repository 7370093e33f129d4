"""Depthwise convolution: one K×K filter per channel, no mixing.

params = K²·max(Cin, Cout), MACs = params·Ho·Wo. Where Cin divides Cout every input channel feeds Cout/Cin outputs (the
channel multiplier); where Cout divides Cin every output channel sums Cin/Cout inputs.
Sifre, https://www.di.ens.fr/data/publications/papers/phd_sifre.pdf; Xception, https://arxiv.org/abs/1610.02357
"""

from litconv.conv.same import SameConv2d


class Depthwise(SameConv2d):
    """One filter per channel; Cin and Cout must divide one another."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        small, large = sorted((in_channels, out_channels))
        if small < 1 or large % small:
            raise ValueError(
                f"depthwise needs in_channels={in_channels} to divide out_channels={out_channels} or the reverse; "
                "try another width, or conv=depthwise_separable, which takes any pair"
            )
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups=small)
