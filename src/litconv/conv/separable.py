"""Spatially separable convolution: K×1, then 1×K.

params = K·Cin·Cmid + K·Cmid·Cout with Cmid = Cout; MACs = K·Cin·Cmid·Ho·W + K·Cmid·Cout·Ho·Wo.
Per channel it equals a K×K filter exactly when that filter has rank 1: Sobel = [1 2 1]ᵀ·[1 0 −1], 9 → 6
multiplications a pixel. Inception v3, https://arxiv.org/abs/1512.00567; ERFNet, https://doi.org/10.1109/TITS.2017.2750080
"""

from typing import ClassVar

import torch
from torch import nn

from litconv.conv.low_rank import factors
from litconv.conv.same import SameConv2d, pair
from litconv.conv.slot import LINEAR_GAIN, RELU_GAIN, Formula, Likeness, likeness, out_size


class Separable(nn.Module):
    """K×1 (which takes the vertical stride), then 1×K (the horizontal one).

    `depthwise=True` filters channel by channel, as Sobel does; Cin and Cout must then divide one another.
    """

    confounds: ClassVar[dict[str, str]] = {
        "": "neither norm nor ReLU between its two layers, which ERFNet and Inception v3 have: they are learned as a product",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        small, large = sorted((in_channels, out_channels))
        if depthwise and large % max(small, 1):
            raise ValueError(
                f"separable with depthwise=true needs in_channels={in_channels} to divide "
                f"out_channels={out_channels} or the reverse; try depthwise=false, which takes any pair"
            )
        (rows, columns), (down, across), (apart, aside) = map(pair, (kernel_size, stride, dilation))
        self.vertical = SameConv2d(
            in_channels,
            out_channels,
            (rows, 1),
            (down, 1),
            (apart, 1),
            groups=small if depthwise else 1,
            gain=LINEAR_GAIN,
        )
        self.horizontal = SameConv2d(
            out_channels,
            out_channels,
            (1, columns),
            (1, across),
            (1, aside),
            groups=out_channels if depthwise else 1,
            gain=RELU_GAIN,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.horizontal(self.vertical(x))

    def formula(self, height: int, width: int) -> Formula:
        rows = out_size(height, self.vertical.stride[0])
        return self.vertical.formula(height, width) + self.horizontal.formula(rows, width)

    @torch.no_grad()
    def take_dense(self, weight: torch.Tensor) -> Likeness:
        """The kernel as a matrix (Cin·Kh × Kw·Cout) is the nearest product of rank Cout; channel by channel, of rank 1."""
        outs, _, rows, columns = weight.shape
        if self.vertical.groups == 1 and self.horizontal.groups == 1:
            vertical, horizontal = factors(weight.permute(1, 2, 3, 0).flatten(2).flatten(0, 1), outs)
            nearest = (vertical @ horizontal).view(-1, rows, columns, outs).permute(3, 0, 1, 2)
            self.vertical.weight.copy_(vertical.view(-1, rows, outs).permute(2, 0, 1)[..., None])
            self.horizontal.weight.copy_(horizontal.view(outs, columns, outs).permute(2, 0, 1)[:, :, None])
            return likeness(f"SVD, rank {outs}", weight, nearest)
        own = weight.shape[1] // self.vertical.groups
        nearest = torch.zeros_like(weight)
        for group, outputs in enumerate(torch.arange(outs).chunk(self.vertical.groups)):
            inputs = slice(group * own, (group + 1) * own)
            vertical, horizontal = factors(weight[outputs, inputs].flatten(1, 2), 1)
            self.vertical.weight[outputs] = vertical.view(-1, own, rows, 1).to(weight.dtype)
            self.horizontal.weight[outputs] = horizontal.view(-1, 1, 1, columns).to(weight.dtype)
            nearest[outputs, inputs] = (vertical @ horizontal).view(-1, own, rows, columns).to(weight.dtype)
        return likeness("SVD, rank 1 for each channel", weight, nearest)
