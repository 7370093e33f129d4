"""One step of the U-Net decoder: up to the skip's size, concatenate, convolve."""

import torch
from torch import Tensor, nn

from litconv.backbones.blocks import ConvNormReLU
from litconv.conv import ConvFactory
from litconv.heads.decoding import crop
from litconv.upsample import UpsampleFactory


class UNetStep(nn.Module):
    def __init__(
        self, deep: int, skip: int, ups: int, conv: ConvFactory, upsample: UpsampleFactory, convs: int
    ) -> None:
        super().__init__()
        ins = [deep] + [skip] * (ups - 1)
        self.up = nn.Sequential(*(ConvNormReLU(upsample(c, skip), skip) for c in ins))
        ins = [2 * skip] + [skip] * (convs - 1)
        self.convs = nn.Sequential(*(ConvNormReLU(conv(c, skip), skip) for c in ins))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = crop(self.up(x), skip.shape[-2:])
        return self.convs(torch.cat((x, skip), dim=1))  # (N, 2·Cskip, H, W) → (N, Cskip, H, W)
