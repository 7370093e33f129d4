"""Standard convolution: K×K over all input channels. The unit of comparison.

y[o] = Σ_c w[o, c] ∗ x[c];  params = K²·Cin·Cout, MACs = params·Ho·Wo.
LeCun et al., http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf; arithmetic: https://arxiv.org/abs/1603.07285
"""

from typing import ClassVar

from litconv.conv.same import SameConv2d


class Standard(SameConv2d):
    """K×K convolution of all channels."""

    is_dense: ClassVar[bool] = True  # `litconv.swap` leaves an ordinary convolution as it is: it is one

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation)
