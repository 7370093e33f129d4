"""Upsamplers of decoders: `upsample(in_channels, out_channels) -> nn.Module`, ×2 exactly, no bias."""

from collections.abc import Callable

from torch import nn

from litconv.upsample.bilinear import Bilinear
from litconv.upsample.nearest import Nearest
from litconv.upsample.pixel_shuffle import PixelShuffle
from litconv.upsample.transposed import Transposed

UpsampleFactory = Callable[[int, int], nn.Module]

__all__ = ["Bilinear", "Nearest", "PixelShuffle", "Transposed", "UpsampleFactory"]
