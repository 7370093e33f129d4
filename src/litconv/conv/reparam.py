"""Reparametrised convolution: branches while it is trained, one K×K convolution afterwards (RepVGG, MobileOne).

y = Σ BN(Wᵢ ∗ x) over `branches` K×K kernels, one 1×1, and the identity where the shape stays. All of it is linear at
inference and fuses exactly: W = Σ γᵢ/σᵢ · Wᵢ, with the 1×1 and the identity at the kernel's centre, b = Σ βᵢ − μᵢ·γᵢ/σᵢ.
Costed fused: params = K²·Cin·Cout + Cout (what norms leave as a bias), MACs = K²·Cin·Cout·Ho·Wo.
RepVGG, https://arxiv.org/abs/2101.03697 (`branches` 1); MobileOne, https://arxiv.org/abs/2206.04040 (more)
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from litconv.conv.same import SameConv2d, same_padding
from litconv.conv.slot import LINEAR_GAIN, RELU_GAIN, Formula, at_least_one


class Branch(nn.Module):
    """A convolution, or nothing, and its norm."""

    def __init__(self, conv: SameConv2d | nn.Identity, channels: int, gain: float) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(channels)
        nn.init.constant_(self.norm.weight, gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))

    def fused(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias of the convolution that it is with the statistics as they are."""
        norm = self.norm
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        is_conv = isinstance(self.conv, SameConv2d)
        weight = self.conv.weight if is_conv else torch.eye(len(scale), dtype=scale.dtype, device=scale.device)
        return weight.view(*weight.shape[:2], *weight.shape[2:] or (1, 1)) * scale.view(-1, 1, 1, 1), (
            norm.bias - norm.running_mean * scale
        )


class Reparam(nn.Module):
    """`branches` K×K kernels, a 1×1 and the identity, each with a norm; one K×K with a bias when it is deployed."""

    confounds: ClassVar[dict[str, str]] = {
        "": "a batch norm in every branch, as published, and more layers while it is trained than its costs, which are those "
        "of the fused form, say",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        branches: int = 1,
    ) -> None:
        super().__init__()
        at_least_one(branches=branches)
        before, _ = same_padding(kernel_size, dilation)
        if before % dilation:
            raise ValueError(
                f"reparam cannot dilate an even kernel_size={kernel_size} by {dilation}: its 1×1 branch would fall between "
                "the kernel's taps; use an odd kernel_size"
            )
        self.centre = before // dilation
        self.geometry = in_channels, out_channels, kernel_size, stride, dilation
        convs = [
            SameConv2d(in_channels, out_channels, kernel_size, stride, dilation, gain=LINEAR_GAIN)
            for _ in range(branches)
        ]
        if kernel_size > 1:
            convs.append(SameConv2d(in_channels, out_channels, 1, stride, gain=LINEAR_GAIN))
        if in_channels == out_channels and stride == 1:
            convs.append(nn.Identity())
        share = RELU_GAIN / len(convs) ** 0.5  # the sum has the variance of the standard convolution
        self.branches = nn.ModuleList(Branch(conv, out_channels, share) for conv in convs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, *others = self.branches
        y = first(x)
        for branch in others:
            y = y + branch(x)
        return y

    @torch.no_grad()
    def deployed(self) -> nn.Module:
        kernel_size, like = self.geometry[2], self.branches[0].conv.weight
        fused = SameConv2d(*self.geometry, bias=True).to(like.device, like.dtype)
        weight, bias = torch.zeros_like(fused.weight), torch.zeros_like(fused.bias)
        for branch in self.branches:
            part, shift = branch.fused()
            before = self.centre if part.shape[-1] < kernel_size else 0
            after = kernel_size - part.shape[-1] - before
            weight += F.pad(part, (before, after, before, after))
            bias += shift
        fused.weight.copy_(weight)
        fused.bias.copy_(bias)
        return fused

    def formula(self, height: int, width: int) -> Formula:
        fused = self.branches[0].conv.formula(height, width)
        return fused + Formula(self.geometry[1], 0)
