"""Deformable convolution: K×K sampling at learned fractional offsets, bilinear; v2 also weighs every sample.

y[o](p) = Σ_c Σ_k w[o, c, k] · m_k(p) · x[c](p + k + Δ_k(p)). The offsets Δ (2K² a pixel and offset group: v1) and the
mask m = 2·sigmoid(·) (K² more: v2) come from a second K×K convolution with bias, zero-initialised, so that training
starts from the standard convolution. Params = K²·Cin·Cout + K²·Cin·2K²G + 2K²G (v2: 3K²G for 2K²G).
v1, https://arxiv.org/abs/1703.06211; v2 (`modulated`), https://arxiv.org/abs/1811.11168
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from litconv.conv.deform_op import Implementation, chosen, deform_conv2d, require, unordered
from litconv.conv.same import SameConv2d
from litconv.conv.slot import RELU_GAIN, Formula, Likeness, out_size, require_divisors

# The papers train the offset layer slower than the rest (v2: a tenth, when fine-tuning). From scratch and at lr 0.2 even a
# tenth let the offsets run out of the image (ResNet-8 on shapes: top-1 0.2 instead of 0.9); a hundredth does not.
OFFSET_LR_SCALE = 0.01


class Deformable(nn.Module):
    """K×K convolution over samples moved by learned offsets, one set of offsets per `offset_groups` channels' group.

    `implementation` decides how fast it is, not what it computes.
    """

    confounds: ClassVar[dict[str, str]] = {
        "": "the layer that finds the offsets has a learning rate of its own, 0.01 of that of all other layers",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        modulated: bool = False,
        offset_groups: int = 1,
        implementation: Implementation = "auto",
    ) -> None:
        super().__init__()
        require(implementation)
        require_divisors("offset_groups", offset_groups, in_channels, in_channels)
        like = SameConv2d(in_channels, out_channels, kernel_size, stride, dilation)
        self.weight = like.weight
        self.stride, self.padding, self.dilation = like.stride, like.padding, like.dilation
        self.extra_padding = like.extra_padding  # an even kernel pads one side more; torchvision's form cannot say that
        self.gain = RELU_GAIN
        self.offset_groups = offset_groups
        self.implementation = implementation
        self.samples = math.prod(self.weight.shape[2:]) * offset_groups
        self.offset = SameConv2d(
            in_channels, (3 if modulated else 2) * self.samples, kernel_size, stride, dilation, bias=True
        )
        self.offset.lr_scale = OFFSET_LR_SCALE
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        guide = self.offset(x)  # (N, 2·K²·G, Ho, Wo): y, x for each sample; v2: and K²·G mask logits
        offset, logits = guide.split((2 * self.samples, guide.shape[1] - 2 * self.samples), dim=1)
        mask = 2 * logits.sigmoid() if logits.shape[1] else None
        if self.extra_padding is not None:
            x = F.pad(x, self.extra_padding)
        geometry = (self.stride, self.padding, self.dilation, self.offset_groups)
        return deform_conv2d(x, self.weight, offset, mask, *geometry, self.implementation)

    def implementation_on(self, device: torch.device) -> str:
        """Which implementation computes it there."""
        return chosen(self.implementation, device)

    def unordered_on(self, device: torch.device) -> str:
        """Why two equal runs can differ there, and what to choose."""
        return unordered(self.implementation, device)

    def formula(self, height: int, width: int) -> Formula:
        rows, columns = out_size(height, self.stride[0]), out_size(width, self.stride[1])
        main = Formula(self.weight.numel(), self.weight.numel() * rows * columns)
        return main + self.offset.formula(height, width)

    @torch.no_grad()
    def take_dense(self, weight: torch.Tensor) -> Likeness:
        """All offsets are zero at first, and every sample counts once."""
        self.weight.copy_(weight)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)
        return Likeness("copied", 0.0)

    def extra_repr(self) -> str:
        out_channels, in_channels, *kernel = self.weight.shape
        return f"{in_channels}, {out_channels}, kernel_size={tuple(kernel)}, stride={self.stride}"
