"""Conditionally parametrised convolution: every image has a kernel of its own, a mixture of E experts.

y = (Σ_e r_e·W_e) ∗ x, r = sigmoid(A·mean(x) + b): params = E·K²·Cin·Cout + Cin·E + E,
MACs of an image = K²·Cin·Cout·Ho·Wo + E·K²·Cin·Cout (mixing) + Cin·E (routing).
Yang et al., https://arxiv.org/abs/1904.04971
"""

import torch
from torch import nn

from litconv.conv.same import SameConv2d
from litconv.conv.slot import RELU_GAIN, Formula, at_least_one, out_size


class CondConv(nn.Module):
    """K×K convolution with the kernel that a linear layer on the image's mean mixes of `experts` kernels."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        experts: int = 4,
    ) -> None:
        super().__init__()
        at_least_one(experts=experts)
        self.routing = nn.Linear(in_channels, experts)
        nn.init.zeros_(self.routing.bias)
        # At the start every r is near ½: the mixture then has the variance of one ordinary kernel.
        gain = RELU_GAIN * 2 / experts**0.5
        # Its weight is the experts', one after another along the output channels.
        self.experts = SameConv2d(in_channels, experts * out_channels, kernel_size, stride, dilation, gain=gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, channels, height, width = x.shape
        routing = self.routing(x.mean(dim=(2, 3))).sigmoid()  # (N, E)
        kernels = routing @ self.experts.weight.reshape(routing.shape[1], -1)  # (N, Cout·Cin·K²)
        kernels = kernels.reshape(-1, *self.experts.weight.shape[1:])  # (N·Cout, Cin, K, K)
        y = self.experts.convolved(x.reshape(1, n * channels, height, width), kernels, groups=n)
        return y.reshape(n, -1, *y.shape[2:])

    def formula(self, height: int, width: int) -> Formula:
        experts, stride = self.routing.out_features, self.experts.stride[0]
        weights, routing = self.experts.weight.numel(), self.routing.weight.numel()
        pixels = out_size(height, stride) * out_size(width, stride)
        return Formula(weights + routing + experts, weights // experts * pixels + weights + routing)
